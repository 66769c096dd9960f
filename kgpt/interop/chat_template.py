"""A template as transformers has them: Jinja that writes a list of messages down. In: a `Template`. Out: its source."""

from __future__ import annotations

import json

from kgpt.text.special_tokens import END_OF_TEXT
from kgpt.text.templates import PLACE, Template


def jinja(template: Template) -> str:
    """The source for `tokenizer.chat_template`; `add_generation_prompt` changes nothing, for a question ends with it.

    Messages have no `input` apart from their content, so `user_with_input` is not in it.
    """
    system, user = _filled(template.system), _filled(template.user)
    answer = f"{{{{ {json.dumps(template.before_answer)} + message['content'] + {_END} }}}}"
    return (
        f"{{{{ {_END} + {json.dumps(template.beginning)} }}}}"
        "{% for message in messages %}"
        f"{{% if message['role'] == 'system' %}}{system}"
        f"{{% elif message['role'] == 'user' %}}{user}"
        f"{{% else %}}{answer}{{% endif %}}"
        "{% endfor %}"
    )


_END = json.dumps(END_OF_TEXT)


def _filled(text: str) -> str:
    """An expression that writes `text` with a message's content in its one place."""
    before, _, after = PLACE.split(text, maxsplit=1)
    return f"{{{{ {json.dumps(before)} + message['content'] + {json.dumps(after)} }}}}"
