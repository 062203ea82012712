"""The tree of subjects' keys: forgetting one leaf forgets that leaf, and nothing else (B9)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ladenbuch.vault.tree import LEAVES, Tree, grow, packed, path_of, unpacked

PATHS = st.integers(0, LEAVES - 1)
#: Also neighbours, whose way parts from each other only at the last step.
SOME = st.lists(PATHS | st.integers(0, 20), min_size=1, max_size=12, unique=True)


def forget(nodes: dict[int, bytes], path: int) -> dict[int, bytes]:
    tree = Tree(nodes)
    above = tree.above(path)
    return {number: key for number, key in nodes.items() if number != above} | tree.without(path)


@given(SOME, SOME)
def test_b9_all_leaves_but_the_forgotten_ones_stay_as_they_were(gone: list[int], others: list[int]) -> None:
    root = grow()
    nodes = root
    for path in gone:
        nodes = forget(nodes, path)
    left = Tree(unpacked(packed(nodes)))
    for path in {*gone, *others}:
        assert left.leaf(path) == (None if path in gone else Tree(root).leaf(path))
        assert left.holds(path) == (path not in gone)


@given(SOME)
def test_b9_no_key_that_is_kept_leads_to_a_forgotten_leaf(gone: list[int]) -> None:
    nodes = grow()
    root = dict(nodes)
    for path in gone:
        nodes = forget(nodes, path)
    for path in gone:
        way = [(LEAVES | path) >> shift for shift in range(LEAVES.bit_length())]
        assert not set(way) & nodes.keys()
        assert Tree(root).leaf(path) not in nodes.values()


def test_every_subject_has_its_own_key_and_the_same_one_each_time() -> None:
    tree = Tree(grow())
    keys = {tree.leaf(path_of(f"gid://shopify/Order/{number}", 0)) for number in range(3000)}
    assert len(keys) == 3000
    assert tree.leaf(path_of("o", 0)) == tree.leaf(path_of("o", 0)) != tree.leaf(path_of("o", 1))
    assert Tree(grow()).leaf(path_of("o", 0)) != tree.leaf(path_of("o", 0))


def test_nothing_of_a_key_is_in_a_repr() -> None:
    assert repr(Tree(grow())) == "Tree(1 nodes)"


def test_what_a_forgetting_costs() -> None:
    nodes = grow()
    for number in range(200):
        nodes = forget(nodes, path_of(f"order {number}", 0))
    assert len(packed(nodes)) < 200 * 4000
