"""Images, sounds and files of any dialect as parts that say where the bytes lie, not what they are.

    blocks → **media** → parts

Dialects disagree on how deep the address lies and on its name, and agree that there is one: a data URL, an address, an
id of a file, or base64.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from backtrail_query.messages.parts import Part, other, text

_ADDRESSES = ("url", "uri", "fileUri", "file_uri", "image_url", "file_url", "imageUrl", "fileUrl")
_BYTES = ("data", "base64", "bytes", "content", "file_data", "fileData", "image", "audio", "video", "file", "$bytes")
_IDS = ("file_id", "fileId")
_MIME_TYPES = ("mime_type", "mimeType", "media_type", "mediaType", "contentType", "content_type", "format")
_LEVELS = 4
_DATA_URL = re.compile(r"data:(?P<mime_type>[^;,]*)(?P<parameters>(?:;[^;,]*)*),", re.IGNORECASE)
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{1,20}://")
_MODALITIES = ("image", "audio", "video")


def media(block: Mapping[str, Any], modality: str = "") -> Part:
    """What this block holds; as it came if nothing in it is known."""
    said = dict(_members(block, _LEVELS))
    mime_type = next((said[key] for key in _MIME_TYPES if isinstance(said.get(key), str) and said[key]), "")
    if mime_type and "/" not in mime_type and modality:
        mime_type = f"{modality}/{mime_type}"
    modality = next((each for each in _MODALITIES if mime_type.startswith(each)), modality) or "file"
    name = next((said[key] for key in ("filename", "file_name", "name", "title") if isinstance(said.get(key), str)), "")
    part = _file(said) or _address(said) or _bytes(said)
    if part is None:
        return other(block)
    about = {"modality": modality, "mime_type": part.pop("mime_type", "") or mime_type or None, "name": name or None}
    return part | {key: value for key, value in about.items() if value is not None}


def document(block: Mapping[str, Any]) -> list[Part]:
    """A document may be text, which is shown as such."""
    source = block.get("source")
    if isinstance(source, dict) and source.get("type") == "text":
        return [text(source.get("data"))]
    return [media(block)]


def blobs_of(part: Part) -> Iterator[Part]:
    """The part if it is a blob, or those in a tool's result. One that came without bytes has nothing to refer to."""
    response = part.get("response")
    for each in (part, *(response if isinstance(response, list) else ())):
        if isinstance(each, dict) and each.get("type") == "blob" and "reference" in each:
            yield each


def _members(block: Mapping[str, Any], levels: int) -> Iterator[tuple[str, Any]]:
    """Inner ones first, so that an outer word wins."""
    for value in block.values():
        if isinstance(value, dict) and levels:
            yield from _members(value, levels - 1)
    yield from ((key, value) for key, value in block.items() if not isinstance(value, dict))


def _file(said: Mapping[str, Any]) -> Part | None:
    for key in _IDS:
        if isinstance(said.get(key), str) and said[key]:
            return {"type": "file", "file_id": said[key]}
    return None


def _address(said: Mapping[str, Any]) -> Part | None:
    for key in (*_ADDRESSES, *_BYTES):
        value = said.get(key)
        if not isinstance(value, str):
            continue
        if data_url := _DATA_URL.match(value, endpos=300):
            is_base64 = data_url["parameters"].lower().endswith(";base64")
            size = _decoded(value, data_url.end()) if is_base64 else len(value) - data_url.end()
            return {"type": "blob", "mime_type": data_url["mime_type"], "size": size, "reference": value}
        if (key in _ADDRESSES and value) or _ADDRESS.match(value):
            return {"type": "uri", "uri": value}
    return None


def _bytes(said: Mapping[str, Any]) -> Part | None:
    for key in _BYTES:
        value = said.get(key)
        if isinstance(value, str) and value:
            return {"type": "blob", "size": _decoded(value, 0), "reference": value}
        if isinstance(value, list) and value and isinstance(value[0], int):
            return {"type": "blob", "size": len(value), "reference": value}
    return None


def _decoded(base64: str, start: int) -> int:
    padding = 2 if base64.endswith("==") else base64.endswith("=")
    return max(0, (len(base64) - start) * 3 // 4 - padding)
