"""Names from a recording of feature columns (points/feature_columns.py) for places in the graph."""


def recorded_names(records, stops, work, onwards):
    """{tensor name of a stop: name of the column that it belongs to}.

    A record names the tensor that a column became. The stops behind it are that column's; where
    several records lead to one stop, the one with the fewest other stops is the nearest.

    Args:
      records: dicts as `feature_columns.records` gives them.
      stops: the `Stop`s of the walk.
      work: the `Work`.
      onwards: callable(tensor) -> operands that the derivative goes on to, or None.
    """
    wanted = {stop.tensor.name for stop in stops}
    best = {}
    for record in records:
        try:
            tensor = work.tensor(record["tensor"])
        except (KeyError, ValueError):
            continue  # this column has no part in the target
        behind = _behind(tensor, wanted, onwards)
        for name in behind:
            if name not in best or len(behind) < best[name][0]:
                best[name] = len(behind), record["column"]
    return {name: column for name, (_, column) in best.items()}


def _behind(tensor, wanted, onwards):
    found, seen, queue = set(), set(), [tensor]
    while queue:
        current = queue.pop()
        if current.name in seen:
            continue
        seen.add(current.name)
        if current.name in wanted:
            found.add(current.name)
        else:
            queue.extend(onwards(current) or ())
    return found
