"""Unknown names are told with the nearest right one, wherever in the data they stand."""

from __future__ import annotations

from typing import Annotated, Any

from hypothesis import given
from hypothesis import strategies as st
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

from tidings.app import load_everything
from tidings.fields import Input
from tidings.validation import names_below, nearest, offer, sentence

NAMES = ("name", "phone", "email", "company_name", "after_id", "limit", "start_time", "end_time", "zipCode")

NEAREST = {
    "nmae": "name",
    "Name": "name",
    "mail": "email",
    "e-mail": "email",
    "phone_number": "phone",
    "phoneNumber": "phone",
    "companyName": "company_name",
    "company": "company_name",
    "afterId": "after_id",
    "AFTER ID": "after_id",
    "after": "after_id",
    "limits": "limit",
    "start": "start_time",
    "endtime": "end_time",
    "zip_code": "zipCode",
    "zip": "zipCode",
    "offset": None,
    "page": None,
    "": None,
    "日本": None,
    "!!!": None,
}


def test_names_that_are_misspelt_or_written_in_another_way_stand_for_the_nearest() -> None:
    assert {name: nearest(name, NAMES) for name in NEAREST} == NEAREST


def test_where_no_name_is_near_all_are_told_unless_they_are_many() -> None:
    assert offer("x", ["name", "phone"]) == "; it takes name, phone"
    assert offer("x", ["startTime", "start_time", "end"]) == "; it takes startTime, end"
    assert offer("x", []) == "; it takes none"
    assert offer("zzz", [f"field_{number}" for number in range(30)]) == ""


class Leaf(BaseModel):
    model_config = ConfigDict(extra="forbid")

    colour: str = ""


class Other(BaseModel):
    model_config = ConfigDict(extra="forbid")

    weight: int = 0


class Job(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True)

    shop_id: int = 0


class Tree(BaseModel):
    model_config = ConfigDict(extra="forbid")

    leaf: Leaf | None = None
    leaves: list[Leaf] = []
    pairs: tuple[Leaf, ...] = ()
    named: dict[str, list[Annotated[Leaf, Field()]]] = {}
    either: Leaf | Other | None = None
    job: Job | None = None
    sender: str = Field("", validation_alias=AliasChoices("from", "sender"))
    free: dict[str, Any] = {}


UNKNOWN: dict[str, tuple[Any, str]] = {
    "at the top": ({"lef": {}}, "lef: did you mean leaf?"),
    "in an object": ({"leaf": {"color": ""}}, "leaf.color: did you mean colour?"),
    "in a list": ({"leaves": [{}, {"color": ""}]}, "leaves.1.color: did you mean colour?"),
    "in a tuple": ({"pairs": [{"color": ""}]}, "pairs.0.color: did you mean colour?"),
    "in a dictionary of lists": ({"named": {"a": [{"color": ""}]}}, "named.a.0.color: did you mean colour?"),
    "by an alias": ({"form": ""}, "form: did you mean from?"),
    "by the name that the alias has as well": ({"sendr": ""}, "sendr: did you mean sender?"),
    "where names are camelCase": ({"job": {"shopid_": 1}}, "job.shopid_: did you mean shopId?"),
}


def test_the_right_names_are_those_of_the_object_that_the_wrong_one_is_in() -> None:
    told = {}
    for case, (data, _) in UNKNOWN.items():
        try:
            Tree.model_validate(data)
        except ValidationError as error:
            [found] = error.errors()
            told[case] = f"{'.'.join(map(str, found['loc']))}: {sentence(found, Tree, found['loc'])}"
    assert told == {
        case: expected.replace(": ", ": is not a known field; ") for case, (_, expected) in UNKNOWN.items()
    }


def test_where_one_of_several_objects_was_meant_each_has_its_own_names() -> None:
    try:
        Tree.model_validate({"either": {"color": "", "wieght": 1}})
    except ValidationError as error:
        told = {".".join(map(str, found["loc"])): sentence(found, Tree, found["loc"]) for found in error.errors()}
    assert told == {
        "either.Leaf.color": "is not a known field; did you mean colour?",
        "either.Leaf.wieght": "is not a known field; the object takes colour",
        "either.Other.color": "is not a known field; the object takes weight",
        "either.Other.wieght": "is not a known field; did you mean weight?",
    }


def test_free_objects_take_everything() -> None:
    assert Tree.model_validate({"free": {"blahblah": 1}}).free == {"blahblah": 1}
    assert names_below(Tree, ("free",)) == []


def test_a_field_of_any_schema_is_recognised_in_camel_case_and_with_two_letters_swapped() -> None:
    load_everything()
    wrong = []
    schemas = list(Input.__subclasses__())
    for schema in schemas:
        names = tuple(names_below(schema, ()))
        for name in names:
            swapped = [name[:at] + name[at + 1] + name[at] + name[at + 2 :] for at in range(len(name) - 1)]
            written = [to_camel(name), name.replace("_", "-"), name.upper(), *(swapped if len(name) > 3 else [])]
            wrong += [(schema.__name__, one, nearest(one, names)) for one in written if nearest(one, names) != name]
    assert len(schemas) > 30
    assert wrong == []


@given(st.text(max_size=300), st.lists(st.text(max_size=30), max_size=40))
def test_the_nearest_is_always_one_of_the_right_names_and_a_right_name_is_its_own(
    name: str, known: list[str]
) -> None:
    assert nearest(name, tuple(known)) in {None, *known}
    for right in NAMES:
        assert nearest(right, NAMES) == right


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda below: st.lists(below) | st.dictionaries(st.text(), below)
    )
)
def test_every_mistake_in_whatever_data_has_a_sentence(data: Any) -> None:
    for kind in (Tree, list[Tree]):
        try:
            TypeAdapter(kind).validate_python(data)
        except ValidationError as error:
            for found in error.errors():
                assert 0 < len(sentence(found, kind, found["loc"])) <= 300
