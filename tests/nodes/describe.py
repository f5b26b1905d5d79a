"""A node's schema as plain data: what saved workflows rely on."""

from typing import Any


def describe(schema: Any) -> dict[str, Any]:
    """Ids, order, types, defaults, ranges and outputs of a node."""
    return {
        "display_name": schema.display_name,
        "category": schema.category,
        "is_output_node": schema.is_output_node,
        "is_input_list": bool(schema.is_input_list),
        "inputs": [describe_input(given) for given in schema.inputs],
        "outputs": [
            {"id": output.id, "type": output.io_type, "is_list": bool(output.is_output_list)}
            for output in schema.outputs
        ],
    }


def describe_input(given: Any) -> dict[str, Any]:
    """One input; those inside dynamic ones are nested."""
    found: dict[str, Any] = {"id": given.id, "type": given.get_io_type()}
    for name in ("default", "min", "max", "step"):
        if getattr(given, name, None) is not None:
            found[name] = getattr(given, name)
    for name in ("optional", "advanced", "multiline"):
        if getattr(given, name, None):
            found[name] = True
    if getattr(given, "template", None) is not None:
        found["template"] = {
            "prefix": given.template.prefix,
            "min": given.template.min,
            "max": given.template.max,
            "input": describe_input(given.template.input),
        }
    options = getattr(given, "options", None)
    if options is not None:
        # What lies in the model folders is not part of the promise.
        found["options"] = [
            {"key": option.key, "inputs": [describe_input(inner) for inner in option.inputs]}
            if hasattr(option, "key")
            else option
            for option in options
            if not str(option).startswith(("clip_vision/", "LLM/"))
        ]
    return found


def all_inputs(schema: Any) -> list[Any]:
    """Every input of a node, those inside dynamic ones among them."""
    found = []
    for given in schema.inputs:
        found.append(given)
        if getattr(given, "template", None) is not None:
            found.append(given.template.input)
        found += [inner for option in getattr(given, "options", None) or () for inner in getattr(option, "inputs", ())]
    return found
