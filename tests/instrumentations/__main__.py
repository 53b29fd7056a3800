"""What programs come to now, in the shape of expected/: to be read with care before it is put there.

python -m tests.instrumentations openinference_openai …
"""

import json
import sys
import tempfile
from pathlib import Path

from tests.instrumentations.running import Performed, perform
from tests.instrumentations.tables import table_of, totals_of
from tests.providers import running_provider
from tests.serving import running_server

SAID = ["hello", "You said: hello", "You said: sunny", "look_up", "transfer_to_weather", "They greet."]


def sections(done: Performed) -> str:
    texts = []
    for name, told in done.scenarios.items():
        trace = json.dumps(told.trace)
        said = " | ".join(text for text in SAID if text in trace)
        texts.append(f"## {name}\n{totals_of(told.run)}\nsaid: {said}\n\n{table_of(told.trace['spans'])}\n")
    return "\n".join(texts)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as data, running_server(Path(data)) as server, running_provider() as provider:
        for program in sys.argv[1:]:
            print(sections(perform(program, server, provider)))
