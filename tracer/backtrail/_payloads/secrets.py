"""What redaction looks for: keys and tokens, e-mail addresses, card numbers, fields named like passwords.

    configure(redact=…) → **rules** → Redaction

Each rule has two patterns. `hint` is for one linear search through the JSON text of a whole payload: it may
hit too often, never too seldom, and is put together with those of the other rules. `pattern` is exact, and runs only
over strings of a payload that was hit. No pattern may need more than linear time on any text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, partial

from backtrail._calls.once import once

Digest = Callable[[str], str]
Replacement = Callable[[Digest, "re.Match[str]"], str]

# In JSON text a control character is an escape that ends in a letter or digit.
_BEGINS = r"(?:^|[^A-Za-z0-9_-]|\\[bfnrt]|\\u[0-9a-f]{4})"
_NOT_WITHIN_A_WORD = r"(?<![A-Za-z0-9_-])"

# OpenAI, Anthropic and those who do as they do; without a digit it is something else with hyphens.
_SK_HINT = r"sk-[A-Za-z0-9_-]{16}"
_SK = r"sk-(?=[A-Za-z_-]*+[0-9])[A-Za-z0-9_-]{16,}"
_KEYS = (
    r"bt_[0-9a-f]{64}",  # our own
    r"[rs]k_(?:live|test)_[A-Za-z0-9]{10,}",  # Stripe
    r"(?:AKIA|ASIA)[0-9A-Z]{16}",  # AWS
    r"gh[oprsu]_[A-Za-z0-9]{20,}",  # GitHub
    r"github_pat_[A-Za-z0-9_]{20,}",
    r"glpat-[A-Za-z0-9_-]{16,}",  # GitLab
    r"xox[abeoprs]-[A-Za-z0-9-]{10,}",  # Slack
    r"AIza[0-9A-Za-z_-]{30,}",  # Google
    r"hf_[A-Za-z0-9]{20,}",  # Hugging Face
    r"gsk_[A-Za-z0-9]{20,}",  # Groq
    r"xai-[A-Za-z0-9]{20,}",
    r"npm_[A-Za-z0-9]{30,}",
    r"pypi-[A-Za-z0-9_-]{30,}",
)

# Lengths and first digits as the card networks give them out: most ids and times fail here, nine of ten others by Luhn.
_CARD = (
    r"4(?:[0-9]{12}|[0-9]{15}|[0-9]{18})|(?:5[1-5]|2[2-7])[0-9]{14}|3[47][0-9]{13}"
    r"|3[0689][0-9]{12}|35[0-9]{14}|6[0-9]{15,18}"
)


@cache
def secret_field() -> re.Pattern[str]:
    """The names of fields whose whole value has to go."""
    return re.compile(
        r".*(?:password|passwd|passphrase|secret|api[_-]?key|private[_-]?key|secret[_-]?key"
        r"|(?:access|refresh|auth|id|bearer|session|api)[_-]?token)"
        r"|token|pwd|(?:(?:proxy|x)[_-])?authorization|(?:set[_-])?cookie",
        re.IGNORECASE | re.DOTALL,
    )


class Rule:
    """One kind of thing that must not leave the process."""

    def __init__(self, hint: str, pattern: str, replace: Replacement) -> None:
        self.hint = hint
        self.replace = replace
        self._pattern = pattern

    @once
    def pattern(self) -> re.Pattern[str]:
        return re.compile(self._pattern)


def _marked(marker: str) -> Replacement:
    return lambda digest, match: marker


def _email(digest: Digest, match: re.Match[str]) -> str:
    return f"[e-mail {digest(match[0].lower())}]"


def _bearer(digest: Digest, match: re.Match[str]) -> str:
    return f"{match[1]}[token]"


def _card(digest: Digest, match: re.Match[str]) -> str:
    """The digits may be those of a card and something after it, or before it."""
    text = match[0]
    places = [found.start() for found in re.finditer("[0-9]", text)]
    for count in range(min(19, len(places)), 12, -1):
        end = places[count - 1] + 1
        digits = "".join(re.findall("[0-9]", text[:end]))
        if is_card(digits) and not text[end : end + 1].isdigit():
            return f"[card {digest(digits)}]{_cards_within(text[end:], digest)}"
    gap = re.search(r"[ -]", text)
    return text if gap is None else text[: gap.end()] + _cards_within(text[gap.end() :], digest)


def _cards_within(text: str, digest: Digest) -> str:
    return RULES["card"].pattern.sub(partial(_card, digest), text)


def is_card(digits: str) -> bool:
    """Whether these are the digits of a card number, its check digit included."""
    if re.fullmatch(_CARD, digits) is None:
        return False
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(map(int, digits[::-2])) + sum(doubled)) % 10 == 0


# In this order: a token in a header is a bearer token before it is anything else.
RULES: dict[str, Rule] = {
    "private_key": Rule(
        r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY",
        r"(?s)-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r".*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\Z)",
        _marked("[private key]"),
    ),
    "bearer": Rule(
        r"(?i:bearer)(?:[^A-Za-z0-9._~+/-]|\\[nrt])+[A-Za-z0-9._~+/-]{8}"
        r"|(?i:authorization)[^A-Za-z0-9]{1,8}(?i:basic|token)",
        r"((?i:\bbearer)[ \t\r\n]+(?=[A-Za-z._~+/-]*+[0-9=])"
        r"|(?i:\bauthorization)[\"']? ?[:=] ?[\"']?(?i:basic|token) )"
        r"[A-Za-z0-9._~+/-]{8,}=*",
        _bearer,
    ),
    "jwt": Rule(
        r"eyJ[A-Za-z0-9_-]{8}",
        _NOT_WITHIN_A_WORD + r"eyJ[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]{8,}+(?:\.[A-Za-z0-9_-]*+)?",
        _marked("[jwt]"),
    ),
    "api_key": Rule(
        f"{_BEGINS}(?:{'|'.join((_SK_HINT, *_KEYS))})",
        f"{_NOT_WITHIN_A_WORD}(?:{'|'.join((_SK, *_KEYS))})",
        _marked("[api key]"),
    ),
    "email": Rule(
        r"@[^\s@\x22\\]+\.",
        r"(?<![\w.%+-])(?!git@)[\w.%+-]++@(?![0-9]x\.)(?:[\w-]++\.)+[^\W\d_]{2,}",
        _email,
    ),
    "card": Rule(
        r"(?:^|[^0-9.]|\\u[0-9a-f]{4})[2-6](?:[ -]?[0-9]){12}",
        r"(?<![\w.])[2-6](?:[ -]?[0-9]){12,18}(?![\w])(?!\.[0-9])",
        _card,
    ),
}

FIELD = "field"
FIELD_HINT = (
    r"(?i:password|passwd|passphrase|secret|secret[_-]key|api[_-]?key|private[_-]?key|token|pwd|authorization|cookie)"
    r"\\?\x22\s*[:,]"
)
NAMES = (*RULES, FIELD)
