"""Writes the BUILD files: one target per module, whose deps draw the import direction.

    python tools/build_files.py            writes what is missing or stale
    python tools/build_files.py --check    writes nothing; prints the difference, exits 1 if any

What a module imports is read from its source, nothing is imported. A package's `__init__.py` is the
target `__init__` of its folder; modules below it depend on it, unless it imports them itself.
"""

import argparse
import ast
import dataclasses
import difflib
import pathlib
import sys

ROOTS = ("ig_tf", "tools", "tests")
HEADER = "# Written by tools/build_files.py: run it again after adding a module or an import.\n"
MODELS = "saved_models"  # the models of our own: data of tests, in no target but one
DATA_SUFFIXES = (".css", ".html", ".js", ".json")  # as package-data in pyproject.toml

# Where the name of a package on PyPI is not the name that is imported.
DISTRIBUTIONS = {
    "absl": "absl-py",
    "google": "protobuf",
    "grpc": "grpcio",
    "PIL": "pillow",
    "pkg_resources": "setuptools",
    "sklearn": "scikit-learn",
    "tensorflow_hub": "tensorflow-hub",
    "tensorflow_serving": "tensorflow-serving-api",
}


@dataclasses.dataclass(frozen=True)
class Module:
    """One source file of the project, and what it imports.

    Attributes:
      path: the file, relative to the repository.
      name: its dotted name; a package's own is that of its `__init__`, 'ig_tf.run.__init__'.
      imports: names of the project's modules that it imports, wherever in the file.
      lazy: names of the project's modules that a string of it names ("ig_tf.model.model").
      requirements: names of the packages on PyPI that it imports.
      names_models: whether a string of it names the folder of models.
    """

    path: pathlib.PurePosixPath
    name: str
    imports: frozenset
    lazy: frozenset
    requirements: frozenset
    names_models: bool

    @property
    def folder(self):
        return str(self.path.parent)

    @property
    def label(self):
        return f"//{self.folder}:{self.path.stem}"

    @property
    def is_test(self):
        return self.folder.split("/")[0] == "tests" and self.path.stem.startswith("test_")


def read_modules(repo):
    """Every module under ROOTS, by dotted name, in order."""
    paths = {}
    for root in ROOTS:
        for path in sorted((repo / root).rglob("*.py")):
            relative = pathlib.PurePosixPath(path.relative_to(repo).as_posix())
            if not any(part.startswith((".", "__pycache__")) for part in relative.parts):
                paths[".".join(relative.with_suffix("").parts)] = relative
    return {name: _read(repo, path, name, paths) for name, path in sorted(paths.items())}


def _read(repo, path, name, known):
    tree = ast.parse((repo / path).read_text(encoding="utf-8"), str(path))
    imports, requirements = set(), set()
    for imported in imported_names(tree, name):
        module = _resolve(imported, name, known)
        if module:
            imports.add(module)
        elif imported[0].split(".")[0] not in sys.stdlib_module_names:
            requirements.add(imported[0].split(".")[0])
    strings = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)}
    strings = {value for value in strings if isinstance(value, str)}
    programs = {module for module in known if not module.startswith("tests.")}
    lazy = {known_module(text, programs) for text in strings if "." in text} - {None}
    return Module(
        path=path,
        name=name,
        imports=frozenset(imports - {name}),
        # Tests name modules for other reasons.
        lazy=frozenset(lazy - {name} if path.parts[0] != "tests" else ()),
        requirements=frozenset(DISTRIBUTIONS.get(r, r) for r in requirements - set(ROOTS)),
        names_models=path.parts[0] == "tests" and any(MODELS in text for text in strings),
    )


def imported_names(tree, name):
    """Yields (module, attribute or None) for each import in a syntax tree of the module `name`."""
    skipped = _type_checking_imports(tree)
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, None
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = name.split(".")[: -node.level]
                base = ".".join(parents + ([base] if base else []))
            for alias in node.names:
                yield base, alias.name


def _type_checking_imports(tree):
    """The imports that only a type checker follows (`if TYPE_CHECKING:`): none when it runs."""
    skipped = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for statement in node.body:
                skipped.update(ast.walk(statement))
    return skipped


def known_module(name, known):
    """The project's module of that dotted name (a package's is its `__init__`), or None."""
    for candidate in (name, f"{name}.__init__"):
        if candidate in known:
            return candidate
    return None


def _resolve(imported, importer, known):
    """The project's module that an import names, or None."""
    base, attribute = imported
    prefixes = [""]
    if importer.split(".")[0] in ("tools", "tests"):
        # A program's own folder is the first that Python looks in.
        prefixes.append(importer.rpartition(".")[0] + ".")
    for prefix in prefixes:
        # `from package import module` imports the module, `from module import name` that one.
        for name in (f"{prefix}{base}.{attribute}", prefix + base):
            if known_module(name, known):
                return known_module(name, known)
    return None


def dependencies(modules):
    """Names of the modules that each module's target depends on."""
    graph = {name: set(module.imports | module.lazy) for name, module in modules.items()}
    # Each module's own package first: so a folder's `__init__` stands below its modules even where
    # the package around it leads to them.
    for init, name in sorted(_packages_of(graph), key=lambda pair: (-pair[0].count("."), pair)):
        # Python runs it first; but a package that imports its modules cannot be below them.
        if name not in reachable(graph, init):
            graph[name].add(init)
    return {name: sorted(needed) for name, needed in graph.items()}


def _packages_of(names):
    """Yields (the `__init__` of a package, a module anywhere below it)."""
    for name in names:
        package = name.removesuffix(".__init__")
        while "." in package:
            package = package.rpartition(".")[0]
            if f"{package}.__init__" in names:
                yield f"{package}.__init__", name


def reachable(graph, start):
    """All that `start` leads to in a graph of names, itself too."""
    seen, stack = set(), [start]
    while stack:
        name = stack.pop()
        if name not in seen:
            seen.add(name)
            stack.extend(graph[name])
    return seen


def build_files(repo):
    """The text of every BUILD file, by path relative to the repository."""
    modules = read_modules(repo)
    needed = dependencies(modules)
    folders = {}
    for module in modules.values():
        folders.setdefault(module.folder, []).append(module)
    has_models = (repo / MODELS).is_dir()
    texts = {}
    for folder, members in sorted(folders.items()):
        rules = [_header(folder)]
        for module in members:
            deps = [modules[name] for name in needed[module.name]]
            rules.append(_rule(repo, module, deps, modules, has_models))
        texts[f"{folder}/BUILD"] = "\n".join(rules)
    if has_models:
        texts[f"{MODELS}/BUILD"] = _models_file()
    return texts


def _header(folder):
    testonly = "    default_testonly = True,\n" if folder.split("/")[0] == "tests" else ""
    visibility = '    default_visibility = ["//:__subpackages__"],\n'
    return f"{HEADER}\npackage(\n{testonly}{visibility})\n"


def _models_file():
    lines = ["filegroup(", f'    name = "{MODELS}",']
    lines += ['    srcs = glob(["**"], exclude = ["BUILD"]),', ")", ""]
    return _header(MODELS) + "\n" + "\n".join(lines)


def _rule(repo, module, deps, modules, has_models):
    """One target as text."""
    name = module.path.stem
    labels = [_local(dep.label, module.folder) for dep in deps]
    srcs, data, lines = [module.path.name], [], []
    if module.is_test:
        main = modules.get("tests.bazel_main")
        conftest = modules.get("tests.conftest")
        if conftest:
            labels.append(_local(conftest.label, module.folder))
        if main:
            # Run as a program a file of tests defines them and ends: pytest has to run it.
            srcs.append(_local(f"//{main.folder}:{main.path.name}", module.folder))
            lines.append(f'    args = ["$(location {module.path.name})"],')
            lines.append(f'    main = "{srcs[-1]}",')
    if module.names_models and has_models:
        data.append(f"//{MODELS}")
    if name == "__init__":
        data += _data_files(repo, module.folder)
    lines += _list("srcs", srcs) + _list("data", data) + _deps(labels, module.requirements)
    if module.path.as_posix() == "ig_tf/__init__.py":
        lines.append('    visibility = ["//visibility:public"],')
    kind = "py_test" if module.is_test else "py_library"
    return "\n".join([f"{kind}(", f'    name = "{name}",', *lines, ")", ""])


def _data_files(repo, folder):
    """Files that are installed with a package, relative to it."""
    found = sorted((repo / folder).iterdir())
    return [path.name for path in found if path.suffix in DATA_SUFFIXES]


def _local(label, folder):
    """A label as short as the BUILD file of `folder` may write it."""
    package, _, name = label.removeprefix("//").partition(":")
    if package == folder:
        return f":{name}"
    return f"//{package}" if package.split("/")[-1] == name else label


def _list(key, values, comments=()):
    lines = [f'"{value}",' for value in values] + [f"# {comment}" for comment in comments]
    if len(values) == 1 and not comments:
        return [f'    {key} = ["{values[0]}"],']
    return [f"    {key} = [", *(f"        {line}" for line in lines), "    ],"] if lines else []


def _deps(labels, requirements):
    # This folder's first, then the others by name.
    ordered = sorted(set(labels), key=lambda label: (not label.startswith(":"), label))
    return _list("deps", ordered, [f"requirement: {name}" for name in sorted(requirements)])


def stale_files(repo):
    """(path, what is there, what should be there) of each BUILD file that is not as it should be.

    None stands for no file. BUILD files that this program did not write are left alone.
    """
    wanted = build_files(repo)
    present = {}
    for root in (*ROOTS, MODELS):
        for path in sorted((repo / root).rglob("BUILD")):
            text = path.read_text(encoding="utf-8")
            relative = path.relative_to(repo).as_posix()
            if relative in wanted or text.startswith(HEADER):
                present[relative] = text
    return [
        (path, present.get(path), wanted.get(path))
        for path in sorted({*wanted, *present})
        if present.get(path) != wanted.get(path)
    ]


def difference(path, found, wanted):
    """A unified difference of one BUILD file."""
    lines = [(text or "").splitlines(keepends=True) for text in (found, wanted)]
    return "".join(difflib.unified_diff(*lines, f"{path} (found)", f"{path} (wanted)"))


def write(repo, path, text):
    """Writes or, where the folder has no modules any more, removes one BUILD file."""
    if text is None:
        (repo / path).unlink()
    else:
        (repo / path).write_text(text, encoding="utf-8")


def main():
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only compare; exit 1 if stale")
    parser.add_argument("--repo", type=pathlib.Path, help="the repository (default: this one)")
    flags = parser.parse_args()
    repo = (flags.repo or pathlib.Path(__file__).parent.parent).resolve()
    stale = stale_files(repo)
    for path, found, wanted in stale:
        if flags.check:
            sys.stdout.write(difference(path, found, wanted))
        else:
            write(repo, path, wanted)
            print(f"{'removed' if wanted is None else 'wrote'} {path}")
    return 1 if flags.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
