"""Runs a notebook's code cells from top to bottom in one namespace, as a fresh kernel would.

    python run_notebook.py NOTEBOOK.ipynb '{"MUSIC": "...", ...}' [FIRST_CELLS]

Assignments of the named settings are replaced by the given values. IPython is not needed: where it is missing, players
become lines of text.
"""

import ast
import json
import sys
from pathlib import Path


def code_cells(path):
    """The source of each code cell."""
    notebook = json.loads(Path(path).read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]


class _Settings(ast.NodeTransformer):
    """Puts other values into assignments of settings."""

    def __init__(self, values):
        self.values, self.used = values, set()

    def visit_Assign(self, node):
        target = node.targets[0]
        names = [item.id for item in (target.elts if isinstance(target, ast.Tuple) else [target])]
        if isinstance(node.value, ast.Constant | ast.Tuple) and set(names) <= set(self.values):
            values = [self.values[name] for name in names]
            self.used |= set(names)
            node.value = ast.parse(repr(values[0] if len(names) == 1 else tuple(values)), mode="eval").body
        return node


def run(path, values, first_cells=None):
    """Run the cells; the namespace that they leave."""
    settings, namespace = _Settings(values), {"__name__": "__main__"}
    for number, source in enumerate(code_cells(path)[:first_cells]):
        tree = ast.fix_missing_locations(settings.visit(ast.parse(source)))
        print(f"--- cell {number}", flush=True)
        exec(compile(tree, f"{Path(path).name}, cell {number}", "exec"), namespace)
    assert first_cells or settings.used == set(values), f"no such settings: {set(values) - settings.used}"
    return namespace


if __name__ == "__main__":
    from musika.training import finetune_judge, generator_saves

    generator_saves.SAMPLE_SECONDS = 0.3
    finetune_judge.PIECES, finetune_judge.PIECE_STEPS = 3, 64
    import musika.hub_push

    musika.hub_push.SAMPLE_SECONDS = 0.3
    run(sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else None)
