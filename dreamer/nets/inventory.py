"""The list of models: what each dreams if no layer is named, how large its weights are, and where they are."""

from dreamer.errors import Failure, Mistake
from dreamer.machine import files, here
from dreamer.nets import fetch
from dreamer.nets.model import Model, find, names


def inventory() -> list[str]:
    """A line for each model: its name, its default layer, the size of its weights, and where they are."""
    told = []
    for name in names():
        try:
            found = find(name)
        except Mistake as error:
            told.append((name, "", "", "; ".join(error.args)))
            continue
        size, where = _weights(found)
        told.append((name, found.default_layer, f"{size / 1e6:.1f} MB", where))
    widths = [max(len(line[column]) for line in told) for column in range(3)]
    return [f"{name:<{widths[0]}}  {layer:<{widths[1]}}  {size:>{widths[2]}}  {where}"
            for name, layer, size, where in told]


def _weights(model: Model) -> tuple[int, str]:
    """(size in bytes, where they are) of the model's weights."""
    try:
        path = model.weights_path()
        if model.compact and path.is_relative_to("/proc"):
            return (model.folder / model.compact).stat().st_size, "comes with this repository"
        if files.sha256(path) != (model.weights_sha256 or fetch.recorded(model)):
            fetch.verify(model, path)
        return path.stat().st_size, "here" if path == model.places(model.weights)[0] else f"here: {path}"
    except Failure:
        return _size(model), f"missing: {here.provision(f'model {model.name}')}"
    except Mistake as error:
        return _size(model), str(error)


def _size(model: Model) -> int:
    """The bytes that weights of the model have; 0 if that is unknown."""
    try:
        return model.least_size
    except (Mistake, Failure):  # the description is missing or damaged
        return 0
