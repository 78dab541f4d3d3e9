"""Mutants of a module's source: what mutmut's operators make of it, one change each.

mutmut's own runner is not used: release 2 writes each mutant into the checkout and
starts Python anew for it, release 3 mutates bodies of functions alone, and neither
defaults of a dataclass nor constants, which are what a policy is made of.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
import random

import mutmut


@dataclasses.dataclass(frozen=True)
class Mutant:
    """A source with one change.

    Attributes:
      line: number of the changed line, from 1.
      before, after: that line without its indentation.
      source: of the whole module.
    """

    line: int
    before: str
    after: str
    source: str


def mutants_of(source: str, *, sample: int = 0, seed: int = 0) -> list[Mutant]:
    """Mutants of a source that mean something else, in order of their lines.

    Left out are changes of annotations and docstrings, and of texts: what an f-string or
    a string with a space says is for people, and tests look for parts of it.

    Args:
      source: of a module.
      sample: how many are drawn; 0: all.
      seed: of the draw.
    """
    meant = _meaning(ast.parse(source))
    found: list[Mutant] = []
    all_of_them = mutmut.list_mutations(mutmut.Context(source=source))
    if sample:
        random.Random(seed).shuffle(all_of_them)
    for which in all_of_them:
        if sample and len(found) == sample:
            break
        mutated, _ = mutmut.mutate(mutmut.Context(source=source, mutation_id=which))
        try:
            meaning = _meaning(ast.parse(mutated))
        except SyntaxError:
            continue
        if meaning != meant:
            found.append(_mutant(source, mutated))
    return sorted(found, key=lambda mutant: mutant.line)


def _mutant(source: str, mutated: str) -> Mutant:
    one, other = source.splitlines(), mutated.splitlines()
    changes = difflib.SequenceMatcher(None, one, other, autojunk=False).get_opcodes()
    _, start, end, from_, to = next(change for change in changes if change[0] != "equal")
    before = " ".join(line.strip() for line in one[start:end])
    after = " ".join(line.strip() for line in other[from_:to])
    return Mutant(start + 1, before, after, mutated)


def _meaning(tree: ast.Module) -> str:
    return ast.dump(_Meaning().visit(tree))


class _Meaning(ast.NodeTransformer):
    """Takes annotations and texts away."""

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Constant(None)
        return self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_keyword(self, node: ast.keyword) -> ast.AST | None:
        # No result hangs on whether a dataclass could be changed.
        return None if node.arg == "frozen" else self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if isinstance(node.value, str) and " " in node.value:
            return ast.Constant("text")
        return node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        node.values = [part for part in node.values if not isinstance(part, ast.Constant)]
        return self.generic_visit(node)
