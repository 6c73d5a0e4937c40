"""Every kind of lookup: found, named as the model's owner would, and attributed id by id.

The models are the rows of lookup_patterns.py, lookup_columns.py (feature columns) and
lookup_functions.py (TensorFlow 2), each made now by this TensorFlow and, where its row says so,
read as TensorFlow 1.15.5 wrote it (fixtures/lookups_1_15, by old/write_lookups.py). What is right
comes from lookup_truth.py alone. lookup_twins.py has what looks like a lookup and is none.
"""

import collections
import dataclasses
import pathlib

import numpy as np
import pytest

import builders
import ig_tf
import lookup_columns
import lookup_functions
import lookup_patterns
import lookup_twins
from ig_tf.errors import IgTfError
from lookup_truth import ANY, answer

FIXTURES = pathlib.Path(__file__).resolve().parent / "fixtures" / "lookups_1_15"
TABLES = (lookup_patterns.PATTERNS, lookup_columns.PATTERNS, lookup_functions.PATTERNS)
PATTERNS = [pattern for table in TABLES for pattern in table]


@dataclasses.dataclass(frozen=True)
class Case:
    """One model: a pattern, how its tables are kept, and who wrote it."""

    pattern: object
    keeping: str
    old: bool = False

    def __str__(self):
        return f"{self.pattern.name}-{self.keeping}" + ("-1.15" if self.old else "")

    def path(self, folder):
        """Where the model is; it is made there if need be."""
        if self.old:
            return FIXTURES / f"{self.pattern.name}-{self.keeping}"
        self.saver(self.pattern, self.keeping, folder)
        return folder

    @property
    def saver(self):
        return lookup_functions.save if self.keeping == "function" else lookup_patterns.save


CASES = [Case(pattern, keeping) for pattern in PATTERNS for keeping in pattern.keepings]
CASES += [Case(pattern, keeping, True) for pattern in PATTERNS for keeping in pattern.old]
every_case = pytest.mark.parametrize("case", CASES, ids=str)


@dataclasses.dataclass(frozen=True)
class Built:
    """An instrumented model of a pattern.

    Attributes:
      metadata: what `save` returned, or the sentence of a refusal.
      ask: {key: array} for rows of the pattern.
      together: the same for all its rows at once.
    """

    metadata: object
    ask: object
    together: dict

    @property
    def refused(self):
        return isinstance(self.metadata, str)


@pytest.fixture(name="source", scope="session")
def fixture_source(tmp_path_factory):
    """A function from a case to the folder of its model; each is made once."""
    made = {}

    def source(case):
        name = str(case)
        if name not in made:
            made[name] = case.path(tmp_path_factory.mktemp("lookup") / "model")
        return made[name]

    return source


@pytest.fixture(name="built", scope="session")
def fixture_built(source, tmp_path_factory):
    """A function from a case to its `Built`; each is made once, with the error that it ended in."""
    made = {}

    def built(case):
        name = str(case)
        if name not in made:
            try:
                output = tmp_path_factory.mktemp("explained") / "model"
                made[name] = build(case, source(case), output)
            except Exception as error:  # pylint: disable=broad-except
                made[name] = error
        if isinstance(made[name], Exception):
            raise made[name]
        return made[name]

    return built


def build(case, source, output):
    try:
        plan = ig_tf.instrument(ig_tf.load(source), steps=case.pattern.steps)
    except IgTfError as error:
        if not case.pattern.may_refuse:
            raise
        return Built(str(error), None, {})
    metadata = ig_tf.save(plan, output)
    loader = "v2" if case.keeping == "function" else "v1"
    run = builders.LOADERS[loader](output)

    def ask(rows):
        return run(**lookup_patterns.feed(case.pattern, rows))

    return Built(metadata, ask, ask(case.pattern.rows))


# What is found -----------------------------------------------------------------------------------


def matched(pattern, metadata):
    """The point of each expectation, by features and table; where these are alike, by kind."""
    points = list(metadata["points"])
    found = [_taken(points, one, lambda point, one: same_features(point, one)
                    and one.reads(point["table"])) for one in pattern.points]
    assert not points, "more points than expected"
    return found


def same_features(point, expected):
    return sorted(point["features"]) == sorted(expected.features)


def paired(pattern, metadata):
    """The same where a table may be missing or misnamed: features alone tell most points."""
    points = list(metadata["points"])
    assert len(points) == len(pattern.points)
    if len(points) == 1:
        return points
    return [_taken(points, one, same_features) for one in pattern.points]


def _taken(points, expected, alike_):
    """The best of the points that are left, which is taken away from them."""
    found = [point for point in points if alike_(point, expected)]
    briefly = [(point["kind"], point["features"], point["table"]) for point in points]
    assert found, f"no point of {expected.features} and {expected.table} among {briefly}"
    best = max(found, key=lambda point: (expected.reads(point["table"]),
                                         point["kind"] in expected.kinds))
    points.remove(best)
    return best


def said(metadata):
    """All sentences on what is no point."""
    return " | ".join([*metadata["held_constant"], *metadata["misses"]])


def as_a_report(case, made):
    """Whether a lookup in a body is only reported: refused, or cut behind the body."""
    if not case.pattern.may_refuse:
        return False
    if made.refused:
        return True
    return all(point["kind"] != "tokens" for point in made.metadata["points"])


@every_case
def test_the_points_are_those_of_the_table(case, built):
    """Each lookup once, with its table and what it is made of; nothing else."""
    made = built(case)
    if as_a_report(case, made):
        text = made.metadata if made.refused else said(made.metadata)
        assert lookup_patterns.TABLE in text, "the lookup in a body is not reported"
        return
    for point, expected in zip(matched(case.pattern, made.metadata), case.pattern.points):
        assert point["kind"] in expected.kinds
        if point["kind"] == "tokens":
            assert point["combiner"] == expected.combiner
    names = [point["name"] for point in made.metadata["points"]]
    assert len(set(names)) == len(names)


@every_case
def test_the_table_is_described(case, built):
    """Size of the vocabulary, dimension, and the tensor of the ids."""
    made = built(case)
    if as_a_report(case, made):
        return
    for point, expected in zip(paired(case.pattern, made.metadata), case.pattern.points):
        if expected.table is not None:
            assert expected.reads(point["table"])
            assert (point["vocabulary"], point["dimension"]) == (
                expected.vocabulary, expected.dimension)
            assert point["ids"]


@every_case
def test_decoys_are_not_listed(case, built):
    """Gathers on ids, weights and shapes are neither points nor worth a sentence each."""
    made = built(case)
    if made.refused or as_a_report(case, made):
        return
    assert len(made.metadata["points"]) == len(case.pattern.points)
    for word in case.pattern.said:
        assert word in said(made.metadata)
    if not case.pattern.said:
        assert not made.metadata["misses"]


# What is answered --------------------------------------------------------------------------------


def truths(pattern, rows):
    """For each acceptable reading of a pattern: (closeness, [Answer of each row])."""
    examples = [pattern.truth(row) for row in rows]
    readings = zip(*[one if isinstance(one, tuple) else (one,) for one in examples])
    return [(max(one.close for one in reading),
             [answer(one, len(pattern.points)) for one in reading]) for reading in readings]


def shown(token):
    """A token as the signature shows it."""
    return token.encode() if isinstance(token, str) else int(token)


def compare_tokens(pattern, point, place, found, answers, close):
    """tokens/NAME, length/NAME and attributions/NAME of one point."""
    name, longest = point["name"], max(len(one.tokens[place]) for one in answers)
    scores, tokens = found[f"attributions/{name}"], found[f"tokens/{name}"]
    assert scores.shape == tokens.shape == (len(answers), longest)
    padding = b"" if tokens.dtype == object else -1
    for row, one in enumerate(answers):
        count = len(one.tokens[place])
        assert found[f"length/{name}"][row] == count
        assert all(token == padding for token in tokens[row, count:])
        assert not scores[row, count:].any()
        theirs = list(zip(tokens[row, :count], scores[row, :count]))
        mine = [(token if token is ANY else shown(token), score)
                for token, score in zip(one.tokens[place], one.scores[place])]
        if any(token is ANY for token, _ in mine):
            theirs = [(ANY, score) for score in sorted(score for _, score in theirs)]
            mine = [(ANY, score) for score in sorted(score for _, score in mine)]
        elif pattern.unordered:
            theirs, mine = sorted(theirs), sorted(mine)
        assert [token for token, _ in theirs] == [token for token, _ in mine]
        np.testing.assert_allclose([score for _, score in theirs], [score for _, score in mine],
                                   rtol=0, atol=close)


def compare_elements(place, attributions, answers, close):
    """Points that are not tokens: [batch, ...], with a row for each id where there is one."""
    assert len(attributions) == len(answers)
    elements = attributions.reshape(len(answers), -1).sum(1, dtype=np.float64)
    np.testing.assert_allclose(elements, [one.totals[place] for one in answers], atol=close)
    scores = [one.scores[place] for one in answers]
    if attributions.ndim == 3:  # [batch, longest, one-hot]
        for row, mine in zip(attributions.sum(-1), scores):
            np.testing.assert_allclose(row[:len(mine)], mine, rtol=0, atol=close)


def largest(answers):
    return max([abs(number) for one in answers for number in one.totals]
               + [abs(number) for one in answers for part in one.scores for number in part])


def compare(pattern, metadata, found, reading):
    """One answer of the signature with one reading of the pattern."""
    close, answers = reading
    close = close * largest(answers)
    for key in ("prediction", "baseline_prediction"):
        np.testing.assert_allclose(found[key], [getattr(one, key) for one in answers],
                                   atol=max(close, 2e-6))
    totals = collections.defaultdict(float)
    for place, point in enumerate(paired(pattern, metadata)):
        assert point["kind"] in pattern.points[place].kinds
        totals[point["feature"]] += np.array([one.totals[place] for one in answers])
        if point["kind"] == "tokens":
            compare_tokens(pattern, point, place, found, answers, close)
        else:
            compare_elements(place, found[f"attributions/{point['name']}"], answers, close)
    for name, total in totals.items():
        np.testing.assert_allclose(found[f"features/{name}"], total, rtol=0, atol=close)
    assert {f"features/{name}" for name in totals} == {
        key for key in found if key.startswith("features/")}


def compare_any(pattern, metadata, found, rows):
    """The answer must be one of the acceptable ones, as a whole."""
    readings = truths(pattern, rows)
    for reading in readings[:-1]:
        try:
            return compare(pattern, metadata, found, reading)
        except AssertionError:
            pass
    return compare(pattern, metadata, found, readings[-1])


@every_case
def test_each_id_gets_its_own_share(case, built):
    """Shared ids, repeated ones, empty bags, unknown words: by brute force."""
    made = built(case)
    if as_a_report(case, made):
        if not made.refused:  # cut behind the body: the totals stand
            ((_, answers),) = truths(case.pattern, case.pattern.rows)
            (point,) = made.metadata["points"]
            np.testing.assert_allclose(made.together[f"features/{point['feature']}"],
                                       [sum(one.totals) for one in answers], atol=1e-5)
        return
    compare_any(case.pattern, made.metadata, made.together, case.pattern.rows)


@every_case
def test_features_sum_to_the_difference(case, built):
    """A complete cut: the totals of all features are F(x) - F(x')."""
    found = built(case).together
    if not found:
        return
    total = sum(value.astype(np.float64) for key, value in found.items()
                if key.startswith("features/"))
    reading = truths(case.pattern, case.pattern.rows)[-1]
    close = reading[0] * largest(reading[1])
    np.testing.assert_allclose(total, found["prediction"] - found["baseline_prediction"],
                               atol=max(close, 2e-6))


def alike(case, found, expected, rows):
    """Two answers for the same rows: padding apart, and up to rounding."""
    assert found.keys() == expected.keys()
    for key, value in found.items():
        wanted = expected[key]
        if key.startswith(("tokens/", "attributions/")) and wanted.ndim > 1:
            width = min(value.shape[1], wanted.shape[1])
            value, wanted = value[:, :width], wanted[:, :width]
        if value.dtype.kind == "f":
            close = 0.1 if "float16" in case.pattern.dtype else 1e-5
            np.testing.assert_allclose(value, wanted, rtol=close, atol=close * 0.1, err_msg=key)
        else:
            np.testing.assert_array_equal(value, wanted, err_msg=f"{key} of {rows}")


@every_case
def test_company_in_the_batch_changes_nothing(case, built):
    """The `Unique` trap: alone, permuted, or beside others that have the same ids."""
    made, rows = built(case), case.pattern.rows
    if made.refused:
        return
    order = np.random.RandomState(0).permutation(len(rows))
    if not case.pattern.alone:  # the last example must have a word
        order = np.append(order[order != len(rows) - 1], len(rows) - 1)
    permuted = made.ask([rows[place] for place in order])
    without = {key: value for key, value in made.together.items()
               if not key.endswith("_error")}
    alike(case, {key: permuted[key] for key in without},
          {key: value[order] for key, value in without.items()}, "permuted")
    for place, row in enumerate(rows):
        if case.pattern.alone or lookup_patterns.words_of(row):
            single = made.ask([row])
            alike(case, {key: single[key] for key in without},
                  {key: value[place:place + 1] for key, value in without.items()}, row)


@every_case
def test_the_truth_is_that_of_the_model(case, source):
    """What is compared with: the original model predicts the same, and its parts sum up."""
    run = builders.open_v1(source(case), "serving_default")
    (found,) = run(**lookup_patterns.feed(case.pattern)).values()
    for close, answers in truths(case.pattern, case.pattern.rows):
        np.testing.assert_allclose(found.ravel(), [one.prediction for one in answers],
                                   atol=max(close, 2e-6))
        for one in answers:
            difference = one.prediction - one.baseline_prediction
            np.testing.assert_allclose(sum(one.totals), difference, atol=1e-3)


# What looks like it ------------------------------------------------------------------------------


@pytest.mark.parametrize("twin", lookup_twins.TWINS, ids=lambda twin: twin.name)
def test_what_is_no_lookup(twin, tmp_path):
    """The twin's own points, no other, and the sentence that says why."""
    lookup_patterns.save(twin, "resource", tmp_path / "model")
    try:
        plan = ig_tf.instrument(ig_tf.load(tmp_path / "model"), steps=twin.steps)
    except IgTfError as error:
        assert twin.may_refuse and "lookup" not in str(error)
        return
    metadata = plan.described()
    for point, expected in zip(matched(twin, metadata), twin.points):
        assert point["kind"] in expected.kinds
    for word in twin.said:
        assert word in said(metadata)
    ig_tf.save(plan, tmp_path / "explained")
    answers = builders.open_v1(tmp_path / "explained")(**lookup_patterns.feed(twin))
    total = sum(value for key, value in answers.items() if key.startswith("features/"))
    np.testing.assert_allclose(
        total, answers["prediction"] - answers["baseline_prediction"],
        atol=2e-2 if twin.steps > 16 else 1e-5)


def test_every_pattern_has_a_twin():
    assert {pattern.twin for pattern in PATTERNS} == {twin.name for twin in lookup_twins.TWINS}


def test_names_are_unique():
    names = [row.name for row in (*PATTERNS, *lookup_twins.TWINS)]
    assert len(set(names)) == len(names)


def test_fixtures_are_those_of_the_table():
    """Each model of TensorFlow 1.15.5 that the table names is there, and no other."""
    wanted = sorted(f"{case.pattern.name}-{case.keeping}" for case in CASES if case.old)
    assert sorted(path.name for path in FIXTURES.iterdir()) == wanted
    sizes = {path.name: sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
             for path in FIXTURES.iterdir()}
    assert max(sizes.values()) < 60_000
