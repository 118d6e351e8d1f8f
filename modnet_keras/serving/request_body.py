"""The body of a predict request, read strictly: TensorFlow Serving's form, for pictures alone.

As there, keys of a request that mean nothing are passed over; what is in their place is not.
"""

import base64
import json
import reprlib

from modnet_keras.errors import CallError

MOST_PICTURES = 1000
"""Of one request: rows are answered first come, first served, and others wait for theirs."""

_SIGNATURE = "serving_default"
_INPUT = "image_bytes"
_PICTURE = '{"b64": "..."}'
_CALL = f'{{"instances": [{_PICTURE}]}}'
_COLUMNS = f'{{"inputs": {{"{_INPUT}": [{_PICTURE}]}}}}'

shortened = reprlib.Repr()
"""For what a client sent: it may be of any length, and no text at all."""
shortened.maxstring = 100


class RequestError(CallError):
    """A request that is refused.

    Parameters
    ----------
    sentence : str
        What was found and what would be right.
    status : int
        The HTTP status.
    """

    def __init__(self, sentence: str, status: int = 400) -> None:
        super().__init__(sentence)
        self.status = status


def read_call(body: bytes) -> tuple[bool, list[bytes]]:
    """Read the body of a predict request.

    Parameters
    ----------
    body : bytes

    Returns
    -------
    is_columnar : bool
        Whether the pictures are a column, `inputs`, and so is the answer; else `instances`, rows.
    pictures : list of bytes
        At least one.

    Raises
    ------
    RequestError
        If it is no request of TensorFlow Serving's form for pictures.
    """
    try:
        call = json.loads(body)
    except RecursionError as error:
        raise RequestError(f"the body is nested too deeply; right would be {_CALL}.") from error
    except ValueError as error:
        raise RequestError(f"the body is no JSON ({error}); right would be {_CALL}.") from error
    if not isinstance(call, dict):
        raise RequestError(f"the body is {_kind(call)}; right would be {_CALL}.")
    signature = call.get("signature_name", _SIGNATURE)
    if signature not in ("", _SIGNATURE):
        found = shortened.repr(signature)
        raise RequestError(f"signature_name is {found}; right is '{_SIGNATURE}', or none.")
    if ("instances" in call) == ("inputs" in call):
        found = "both 'instances' and 'inputs'" if "inputs" in call else "no 'instances'"
        raise RequestError(f"the body has {found}; right would be {_CALL} or {_COLUMNS}.")
    if "instances" in call:
        return False, _pictures("instances", call["instances"], or_named=True)
    column = _named_column(call["inputs"])
    return True, _pictures("inputs", column, or_named=False)


def _named_column(inputs):
    """The list of pictures; it may stand alone, as there is but one input."""
    if not isinstance(inputs, dict):
        return inputs
    if inputs.keys() != {_INPUT}:
        raise RequestError(f"inputs is {_kind(inputs)}; right would be {_COLUMNS}.")
    return inputs[_INPUT]


def _pictures(key, listed, or_named):
    if not isinstance(listed, list):
        raise RequestError(f"{key} is {_kind(listed)}; right would be a list as [{_PICTURE}].")
    if not listed:
        raise RequestError(f"{key} is an empty list; right would be at least one {_PICTURE}.")
    if len(listed) > MOST_PICTURES:
        most = f"send at most {MOST_PICTURES} at a time"
        raise RequestError(f"{key} holds {len(listed)} pictures; {most}.", 413)
    return [_picture(f"{key}[{place}]", each, or_named) for place, each in enumerate(listed)]


def _picture(place, value, or_named):
    """The bytes of one picture, which an instance may name as the input that it is."""
    if or_named and isinstance(value, dict) and value.keys() == {_INPUT}:
        place, value = f"{place}.{_INPUT}", value[_INPUT]
    if not isinstance(value, dict) or value.keys() != {"b64"}:
        raise RequestError(f"{place} is {_kind(value)}; right would be {_PICTURE}.")
    text = value["b64"]
    if not isinstance(text, str):
        raise RequestError(f"{place}.b64 is {_kind(text)}; right would be a text in base64.")
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        right = "the standard alphabet, padded and without line breaks"
        raise RequestError(
            f"{place}.b64 is no base64 ({error}); right would be {right}."
        ) from error


def _kind(value):
    """What a JSON value is, in words."""
    if isinstance(value, dict):
        return f"an object of the keys {shortened.repr([*value])}" if value else "an empty object"
    kinds = {list: "a list", str: "a text", type(None): "null", bool: "true or false"}
    return kinds.get(type(value), "a number")
