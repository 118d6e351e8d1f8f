"""The body of a request, whatever it holds."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modnet_keras.serving import request_body

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    | st.sampled_from(["/9j/", "AA==", "serving_default"]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(["instances", "inputs", "image_bytes", "b64", "signature_name"])
        | st.text(max_size=5),
        inner,
        max_size=3,
    ),
    max_leaves=8,
)  # fmt: skip


@settings(deadline=None, max_examples=300)
@given(
    json_values.map(lambda value: json.dumps(value).encode())
    | st.lists(json_values, max_size=3).map(lambda rows: json.dumps({"instances": rows}).encode())
    | json_values.map(lambda value: json.dumps({"inputs": value}).encode())
    | st.binary(max_size=40)
    | st.sampled_from([b"[" * 100_000, b'{"instances":' * 50_000, b"9" * 5000, b"\xff\xfe["])
)
def test_any_body_gives_pictures_or_is_refused_in_one_sentence(body):
    try:
        columnar, pictures = request_body.read_call(body)
    except request_body.RequestError as error:
        assert error.status in (400, 413) and 10 < len(str(error)) < 700
    else:
        assert pictures and all(isinstance(each, bytes) for each in pictures)
        assert columnar == (b'"inputs"' in body)


def test_more_pictures_than_one_request_may_hold_are_refused():
    body = json.dumps({"instances": [{"b64": ""}] * (request_body.MOST_PICTURES + 1)}).encode()
    with pytest.raises(
        request_body.RequestError, match="1001 pictures; send at most 1000"
    ) as refusal:
        request_body.read_call(body)
    assert refusal.value.status == 413
