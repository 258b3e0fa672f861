"""Responses of Seam, or of something in its place, that are not what Seam documents: odd_responses.json has them. Each
becomes a scenario for each call that it is the response to."""

import json

import toolchain

# What stands for a long text in a body.
LONG = "(long)"


def scenarios():
    document = json.loads((toolchain.HERE / "odd_responses.json").read_text())
    return [
        {"name": f"{response['name']}: {call}", "credential": "$api_key",
         "steps": [step(document, response, case, call)]}
        for response in document["responses"] for case in response["cases"] for call in case["calls"]
    ]


def step(document, response, case, call):
    fault = {name: member for name, member in response.items() if name not in ("name", "cases", "long")}
    made = {"call": call, "faults": [fault], **document["arguments"][call], **case}
    if "because" in case:
        made["because"] = document["reasons"][case["because"]]
    return lengthened(made, response.get("long", 0))


def lengthened(value, length):
    """The value with each (long) in it made as long as the file says."""
    if isinstance(value, list):
        return [lengthened(item, length) for item in value]
    if isinstance(value, dict):
        return {name: lengthened(member, length) for name, member in value.items()}
    return value.replace(LONG, "x" * length) if isinstance(value, str) else value
