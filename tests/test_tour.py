"""The notebook of saved_models/ from top to bottom, as a reader runs it."""

import ast
import html
import json
import pathlib

import pytest

NOTEBOOK = pathlib.Path(__file__).resolve().parent.parent / "saved_models" / "tour.ipynb"


@pytest.fixture(name="cells", scope="module")
def fixture_cells():
    return json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]


def run(source, names):
    """Runs a cell; the value of its last line where that is an expression, as a kernel does."""
    body = ast.parse(source).body
    last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), "cell", "exec"), names)
    if last:
        return eval(compile(ast.Expression(last.value), "cell", "eval"), names)
    return None


def test_the_notebook_is_stored_without_outputs(cells):
    assert all(cell["outputs"] == [] and cell["execution_count"] is None
               for cell in cells if cell["cell_type"] == "code")
    assert len({cell["id"] for cell in cells}) == len(cells)


def test_the_notebook_runs_and_draws(cells, monkeypatch, capsys):
    """Text, image, table and alignment come out as frames without script or foreign addresses."""
    monkeypatch.chdir(NOTEBOOK.parent)
    names, drawn = {"__name__": "__main__"}, []
    for cell in cells:
        if cell["cell_type"] == "code":
            value = run("".join(cell["source"]), names)
            if hasattr(value, "_repr_html_"):
                drawn.append(value._repr_html_())
    assert len(drawn) == 9
    assert all(frame.startswith('<iframe sandbox=""') for frame in drawn)
    one, many, questions, question, paper, shown, digit, gradient, translated = [
        html.unescape(frame) for frame in drawn]
    assert "waterfall" in one and "above the median" in one
    assert "attribution points" in many and "examples" in many
    assert 'class="tokens"' in questions and questions.count("<article") == 6
    assert "[<b><bdi>person</bdi></b>]" in question and "whose" in question
    assert "200 30 50" in paper and "Red, solid underline: for the target" in paper
    assert shown.count("<img") == 3 and "[<b><bdi>cross</bdi></b>]" in shown
    assert digit.count("<img") == 5 and "strongest regions" in digit
    assert "does not add up" in gradient and "adds up" in digit
    assert "All 7 outputs of this example" in translated and translated.count("<article") == 7
    said = capsys.readouterr().out
    assert "person [('count'" in said and "oft hat das Mädchen einen Schlüssel ." in said
    assert "difference" in said and "MB for 40 patients" in said
