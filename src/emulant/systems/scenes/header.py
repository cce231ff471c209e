"""A scene as the JSON object that heads its file: the documented keys, and those that a simulation needs beside them.

Numbers are written in full, so that a header alone simulates again to the bit; lists keep the order in which the
engine is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emulant.errors import DataError
from emulant.systems.scenes.scene import STATIC, STEP, Body, Engine, Force, Joint, Scene, Static, Vector

FORMAT_VERSION = 1
_NAMES = {"disc": "circle", "box": "rectangle", "pin": "PinJoint", "pivot": "PivotJoint"}
_KINDS = {name: kind for kind, name in _NAMES.items()}


def header_of(scene: Scene) -> dict[str, Any]:
    """The header: line 1 of a JSON-lines file, and a column of the store."""
    return {
        "type": "scene_header",
        "seed": scene.seed,
        "description": scene.description,
        "object_count": len(scene.bodies),
        "gravity": _xy(scene.gravity),
        "timestep": STEP,
        "objects": [_object(number, body) for number, body in enumerate(scene.bodies)],
        "scenario_type": scene.type,
        "scenario_category": scene.category,
        "difficulty": scene.difficulty,
        "static_geometry": [_piece(piece) for piece in scene.statics],
        "constraints": [_constraint(joint) for joint in scene.joints],
        "forces": [] if scene.force is None else [_force(scene.force)],
        "simulation": {
            "substeps": scene.engine.substeps,
            "iterations": scene.engine.iterations,
            "damping": scene.engine.damping,
            "collision_slop": scene.engine.collision_slop,
            "collision_bias": scene.engine.collision_bias,
            "collision_persistence": scene.engine.collision_persistence,
            "engine": scene.engine.name,
            "engine_version": scene.engine.version,
        },
        "format_version": FORMAT_VERSION,
        "split": scene.split,
        "case": f"{scene.type}/{scene.number}",
        "frames": scene.frames,
    }


def material_of(body: Body) -> dict[str, float]:
    return {"mass": body.mass, "friction": body.friction, "elasticity": body.elasticity}


def kind_of(body: Body) -> str:
    """`circle` or `rectangle`."""
    return _NAMES[body.kind]


def _object(number: int, body: Body) -> dict[str, Any]:
    width, height = 2 * body.size[0], 2 * body.size[1]
    shape = {"radius": body.size[0]} if body.kind == "disc" else {"width": width, "height": height}
    return {
        "id": number,
        "type": kind_of(body),
        "position": _xy(body.position),
        "material": material_of(body),
        **shape,
        "angle": body.angle,
        "velocity": _xy(body.velocity),
        "angular_velocity": body.angular_velocity,
        "moment": body.moment,
    }


def _piece(piece: Static) -> dict[str, Any]:
    surface: dict[str, Any] = {"friction": piece.friction, "elasticity": piece.elasticity}
    if piece.surface_velocity != (0.0, 0.0):
        surface["surface_velocity"] = _xy(piece.surface_velocity)
    if piece.kind == "segment":
        first, second = piece.points
        return {"type": "segment", "p1": _xy(first), "p2": _xy(second), "radius": piece.radius, **surface}
    if piece.kind == "circle":
        return {"type": "circle", "center": _xy(piece.points[0]), "radius": piece.radius, **surface}
    return {"type": "polygon", "vertices": [list(point) for point in piece.points], **surface}


def _constraint(joint: Joint) -> dict[str, Any]:
    a, b = ("static" if number == STATIC else number for number in joint.bodies)
    distance = {"distance": joint.distance} if joint.kind == "pin" else {}
    return {
        "type": _NAMES[joint.kind],
        "body_a": a,
        "body_b": b,
        "anchor_a": list(joint.anchors[0]),
        "anchor_b": list(joint.anchors[1]),
        **distance,
        "collide_bodies": joint.collide,
    }


def _force(force: Force) -> dict[str, Any]:
    if force.kind == "mutual":
        return {"type": "mutual", "G": force.strength, "softening": force.softening}
    return {"type": "central", "center": _xy(force.centre), "mu": force.strength, "softening": force.softening}


def _xy(vector: Vector) -> dict[str, float]:
    return {"x": vector[0], "y": vector[1]}


# -- back ---------------------------------------------------------------------------------------------------------


def scene_of(header: Mapping[str, Any], where: str) -> Scene:
    """The scene that a header tells; what other programs leave out of the added keys has the engine's default.

    Raises:
        DataError: A key is missing or is not what it should be; `where` names the file in the message.
    """
    if not isinstance(header, Mapping) or header.get("type") != "scene_header":
        raise DataError(f"{where}: its first line is not a scene_header.", "A scene begins with its header.")
    if (version := header.get("format_version", FORMAT_VERSION)) != FORMAT_VERSION:
        raise DataError(f"{where}: has format version {version}; this emulant reads {FORMAT_VERSION}.")
    try:
        return _scene(header)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"lacks {error}" if isinstance(error, KeyError) else f"cannot be understood: {error}"
        raise DataError(f"{where}: its header {what}.") from error


def _scene(header: Mapping[str, Any]) -> Scene:
    simulation = {**header.get("simulation", {})}
    simulation["name"], simulation["version"] = simulation.pop("engine", "pymunk"), simulation.pop("engine_version", "")
    forces, bodies = header.get("forces", []), tuple(_body(each) for each in header["objects"])
    if len(bodies) != header["object_count"]:
        raise ValueError(f"object_count is {header['object_count']}, but there are {len(bodies)} objects")
    scene_type, _, number = str(header.get("case", "")).rpartition("/")
    return Scene(
        type=header["scenario_type"],
        category=header["scenario_category"],
        difficulty=int(header["difficulty"]),
        seed=int(header["seed"]),
        description=header["description"],
        gravity=_vector(header["gravity"]),
        bodies=bodies,
        statics=tuple(_static(each) for each in header["static_geometry"]),
        joints=tuple(_joint(each, len(bodies)) for each in header["constraints"]),
        force=_forced(forces[0]) if forces else None,
        engine=Engine(**simulation),
        frames=int(header.get("frames", 0)),
        split=header.get("split", ""),
        number=int(number) if scene_type else 0,
    )


def _body(each: Mapping[str, Any]) -> Body:
    kind, material = _KINDS[each["type"]], each["material"]
    if kind == "disc":
        size = (float(each["radius"]), float(each["radius"]))
        moment = 0.5 * material["mass"] * size[0] ** 2
    else:
        size = (each["width"] / 2, each["height"] / 2)
        moment = material["mass"] * (each["width"] ** 2 + each["height"] ** 2) / 12
    if not (min(size) > 0 and material["mass"] > 0):
        raise ValueError(f"object {each['id']} has no size or no mass")
    return Body(
        kind,  # type: ignore[arg-type]
        size,
        _vector(each["position"]),
        _vector(each.get("velocity", {"x": 0.0, "y": 0.0})),
        float(each.get("angle", 0.0)),
        float(each.get("angular_velocity", 0.0)),
        float(material["mass"]),
        float(each.get("moment", moment)),
        float(material["friction"]),
        float(material["elasticity"]),
    )


def _static(each: Mapping[str, Any]) -> Static:
    surface = (
        float(each["friction"]),
        float(each["elasticity"]),
        _vector(each.get("surface_velocity", {"x": 0, "y": 0})),
    )
    if each["type"] == "segment":
        return Static("segment", (_vector(each["p1"]), _vector(each["p2"])), float(each.get("radius", 2)), *surface)
    if each["type"] == "circle":
        return Static("circle", (_vector(each["center"]),), float(each["radius"]), *surface)
    if each["type"] != "polygon":
        raise ValueError(f"there is no static piece of type {each['type']!r}")
    return Static("polygon", tuple(_pair(point) for point in each["vertices"]), 0.0, *surface)


def _joint(each: Mapping[str, Any], count: int) -> Joint:
    numbers = [STATIC if each[key] == "static" else int(each[key]) for key in ("body_a", "body_b")]
    if not all(number == STATIC or 0 <= number < count for number in numbers):
        raise ValueError(f"a joint ties objects {numbers}, but there are {count}")
    return Joint(
        _KINDS[each["type"]],  # type: ignore[arg-type]
        (numbers[0], numbers[1]),
        (_pair(each["anchor_a"]), _pair(each["anchor_b"])),
        float(each.get("distance", 0.0)),
        bool(each.get("collide_bodies", False)),
    )


def _forced(each: Mapping[str, Any]) -> Force:
    softening = float(each.get("softening", 0.0))
    if each["type"] == "mutual":
        return Force("mutual", float(each["G"]), softening=softening)
    return Force("central", float(each["mu"]), _vector(each["center"]), softening)


def _vector(each: Mapping[str, Any]) -> Vector:
    return float(each["x"]), float(each["y"])


def _pair(each: Any) -> Vector:
    x, y = each
    return float(x), float(y)
