"""What a trial found: a table for people, and whether everything was as it should be."""


class Findings:
    """Rows of a table, and checks.

    Args:
      title: of the table.

    Attributes:
      failures: sentences.
    """

    def __init__(self, title):
        self.title, self.failures = title, []
        self._rows, self._checks, self._notes = [], 0, []

    def row(self, **values):
        """A row of the table; its columns are those of the first one."""
        self._rows.append(values)
        print("  " + ", ".join(f"{name} {value}" for name, value in values.items()), flush=True)

    def check(self, is_right, sentence):
        """Counts a check; the sentence says what is wrong where it is not right."""
        self._checks += 1
        if not is_right:
            self.failures.append(sentence)
            print(f"  FAILED: {sentence}", flush=True)

    def none(self, sentences, where):
        """Checks that nobody had anything to say."""
        self.check(not sentences, f"{where}: {'; '.join(map(str, sentences))}")

    def note(self, sentence):
        """Something to know besides."""
        self._notes.append(sentence)
        print(f"  {sentence}", flush=True)

    def text(self):
        """The table and all else, as Markdown."""
        lines = [f"## {self.title}", ""]
        if self._rows:
            columns = list(self._rows[0])
            lines += [f"| {' | '.join(name.replace('_', ' ') for name in columns)} |",
                      f"|{'---|' * len(columns)}"]
            lines += [f"| {' | '.join(str(row.get(name, '')) for name in columns)} |"
                      for row in self._rows]
            lines.append("")
        lines += [f"{note}" for note in self._notes]
        failed = [f"- FAILED: {one}" for one in self.failures]
        lines += [f"{self._checks} checks, {len(self.failures)} failed.", *failed, ""]
        return "\n".join(lines)
