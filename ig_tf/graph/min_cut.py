"""The cheapest cut of a small directed graph (Dinic's algorithm). Knows nothing of TensorFlow."""

INFINITE = 1 << 62


class Flow:
    """A directed graph with capacities; nodes are any hashable objects."""

    def __init__(self):
        self._edges = {}  # node: {neighbour: what may still flow there}

    def add(self, start, end, capacity):
        """Adds an edge; capacities of the same edge add up."""
        forward = self._edges.setdefault(start, {})
        forward[end] = forward.get(end, 0) + capacity
        self._edges.setdefault(end, {}).setdefault(start, 0)

    def source_side(self, source, sink):
        """Nodes on the source's side of a cheapest cut (the smallest such side); uses it up."""
        self._edges.setdefault(source, {})
        self._edges.setdefault(sink, {})
        while True:
            level = self._levels(source)
            if sink not in level:
                return set(level)
            untried = {node: list(self._edges[node]) for node in level}
            while self._augment(source, sink, level, untried):
                pass

    def _levels(self, source):
        """{node: number of edges from the source} of what can still be reached."""
        level, layer = {source: 0}, [source]
        while layer:
            following = []
            for node in layer:
                for other, left in self._edges[node].items():
                    if left > 0 and other not in level:
                        level[other] = level[node] + 1
                        following.append(other)
            layer = following
        return level

    def _augment(self, source, sink, level, untried):
        """Sends what one shortest path can carry; False where there is none any more."""
        path = [source]
        while path[-1] != sink:
            node = path[-1]
            while untried[node]:
                other = untried[node][-1]
                if self._edges[node][other] > 0 and level.get(other) == level[node] + 1:
                    path.append(other)
                    break
                untried[node].pop()
            else:
                path.pop()
                if not path:
                    return False
                untried[path[-1]].pop()
        steps = list(zip(path, path[1:]))
        amount = min(self._edges[start][end] for start, end in steps)
        for start, end in steps:
            self._edges[start][end] -= amount
            self._edges[end][start] += amount
        return True
