from mstool.splits.leaks import Leak, Source, find_leaks


def test_clean_split_has_no_leaks():
    sides = {"train": [Source("a", "A", "1")], "test": [Source("b", "B", "2")]}
    assert find_leaks(sides) == []


def test_group_on_two_sides_is_found():
    sides = {
        "train": [Source("b", "A", "2"), Source("a", "A", "1")],
        "test": [Source("c", "A", "3")],
    }
    assert find_leaks(sides) == [Leak("group", "A", (("train", ("a", "b")), ("test", ("c",))))]


def test_same_content_under_two_names_is_found():
    sides = {"val": [Source("a", "A", "f" * 64)], "test": [Source("b", "B", "f" * 64)]}
    (leak,) = find_leaks(sides)
    assert str(leak) == "one content (sha256 ffffffffffff) is in val (a) and in test (b)"


def test_group_and_content_twice_on_one_side_do_not_leak():
    assert find_leaks({"train": [Source("a", "A", "1"), Source("b", "A", "1")]}) == []


def test_unknown_group_and_content_do_not_leak():
    sides = {"train": [Source("a", None, None)], "test": [Source("b", None, None)]}
    assert find_leaks(sides) == []


def test_leaks_are_in_order_whatever_the_order_of_sources():
    sources = [Source("a", "B", "9"), Source("b", "A", "8"), Source("c", "C", "7")]
    leaks = find_leaks({"train": sources, "test": sources[::-1]})
    assert [(leak.kind, leak.key) for leak in leaks] == [
        ("group", "A"),
        ("group", "B"),
        ("group", "C"),
        ("content", "7"),
        ("content", "8"),
        ("content", "9"),
    ]


def test_long_lists_are_cut_in_the_message():
    train = [Source(f"f{i}", "A", str(i)) for i in range(5)]
    (leak,) = find_leaks({"train": train, "test": [Source("z", "A", "z")]})
    assert str(leak) == "group 'A' is in train (f0, f1, f2 and 2 more) and in test (z)"
