"""JSON lines against doc/r2.schema.json: schema.py COMMAND DEFINITION... <LINES
Each line must fit #/$defs/COMMAND, and each DEFINITION at least one of them. Prints what does not fit; status 1 then.
Knows the words of JSON Schema 2020-12 that the file uses, and refuses any other: a misspelt one would check nothing."""
import json, os, re, sys

with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "doc", "r2.schema.json")) as f:
    SCHEMA = json.load(f)
TALK = {"$schema", "$id", "$comment", "$defs", "title", "description"}
TYPES = {"object": dict, "string": str, "integer": int, "number": (int, float)}


def resolve(ref):
    at = SCHEMA
    for name in ref.removeprefix("#/").split("/"):
        at = at[name]
    return at


def complaints(schema, x, where="line"):
    """What in x does not fit."""
    out = []
    for word, want in schema.items():
        if word in TALK:
            continue
        if word == "$ref":
            out += complaints(resolve(want), x, where)
        elif word == "anyOf":
            tries = [complaints(s, x, where) for s in want]
            if all(tries):
                out += min(tries, key=len)
        elif word == "type":
            if not isinstance(x, TYPES[want]) or isinstance(x, bool):
                out.append(f"{where}: {x!r} is no {want}")
        elif word == "enum":
            if x not in want:
                out.append(f"{where}: {x!r} is none of {want}")
        elif word == "pattern":
            if not isinstance(x, str) or not re.search(want, x):
                out.append(f"{where}: {x!r} does not match {want}")
        elif word == "minLength":
            if not isinstance(x, str) or len(x) < want:
                out.append(f"{where}: {x!r} is too short")
        elif word == "minimum":
            if not isinstance(x, (int, float)) or x < want:
                out.append(f"{where}: {x!r} is below {want}")
        elif word == "required":
            out += [f"{where}: without {name}" for name in want if name not in x]
        elif word == "additionalProperties" and want is False:
            names = set(schema["properties"])
            patterns = schema.get("patternProperties", {})
            out += [f"{where}: what is {name}?" for name in x if name not in names and not any(re.search(p, name) for p in patterns)]
        elif word in ("properties", "patternProperties"):
            for name, sub in want.items():
                for key in x if isinstance(x, dict) else ():
                    if key == name if word == "properties" else re.search(name, key):
                        out += complaints(sub, x[key], f"{where}.{key}")
        else:
            sys.exit(f"schema.py does not know {word!r}")
    return out


def once(pairs):
    if len(dict(pairs)) != len(pairs):
        sys.exit(f"a name stands twice: {pairs}")
    return dict(pairs)


def main():
    definitions, bad, lines = SCHEMA["$defs"], 0, 0
    missing = set(sys.argv[2:])
    for line in sys.stdin:
        x = json.loads(line, object_pairs_hook=once)
        found = complaints(definitions[sys.argv[1]], x)
        missing -= {name for name in missing if not complaints(definitions[name], x)}
        lines += 1
        bad += bool(found)
        for text in found:
            print(text, "in", line.strip())
    for name in sorted(missing):
        print("no line is", name)
    if not lines:
        print("no line at all")
    sys.exit(bool(bad or missing or not lines))


main()
