"""One box of text, read as what it most likely is: ids, a position, a body, an event, else a name."""

import re
from typing import Any

from tom_fink.api import checks
from tom_fink.errors import BadQuery
from tom_fink.search.coordinates import position
from tom_fink.surveys._names import RUBIN_ID, ZTF_ID

ID = re.compile(f"{ZTF_ID}|{RUBIN_ID}", re.IGNORECASE)
MISSPELT_ID = re.compile("ztf ?[0-9]{2}[a-z0-9]+", re.IGNORECASE)
IN_BRACKETS = re.compile(r"\(([^()]*)\)|\[([^\[\]]*)\]")
TRACKLET = re.compile("TRCK_[0-9]{8}_[0-9]{6}_[0-9]{2}")
EVENT = re.compile("(MS|S|GW)([0-9]{6}[a-z]{0,4}(?:_[0-9]{6})?)", re.IGNORECASE)
# Numbers, provisional designations unpacked (2004 JQ12, C/2020 V2) and packed (K04J12Q), comets (10P, 1P/Halley).
# A transient's letters are small: 2023vwy.
BODY = re.compile(
    "[0-9]{1,7}|[12][0-9]{3} ?[A-Z]{2}[0-9]*|[CPDXAI]/[12][0-9]{3} ?[A-Z]{1,2}[0-9]*.*|[0-9]{1,4}[PDI](?:/.*)?"
    "|[IJK][0-9]{2}[A-Z][A-Za-z0-9][0-9][A-Z]"
)


def recognise(text: str, survey: str) -> dict[str, Any]:
    """The arguments of a `Search` of this survey that `text` stands for; the first that fits of

    ids, a tracklet, an event of gravitational waves, a position, a body's number or designation, a name.
    Raises `BadQuery`: nothing, ids of the other survey, a position out of range.
    """
    text = text.strip()
    if bracketed := IN_BRACKETS.fullmatch(text):
        text = (bracketed[1] or bracketed[2] or "").strip()
    if not text:
        raise BadQuery("Give an id, a position or a name.", "name")
    words = [word for word in re.split(r"[\s,;]+", text) if word]
    if words and all(ID.fullmatch(word) for word in words):
        return {"object_ids": checks.object_ids(survey, map(_id, words))}
    if MISSPELT_ID.fullmatch(text):
        return {"object_ids": checks.object_ids(survey, _id(text))}
    if TRACKLET.fullmatch(text):
        return {"tracklet": text}
    if event := EVENT.fullmatch(text):
        return {"event": event[1].upper() + event[2].lower()}
    if (found := position(text)) is not None:
        return {"ra_deg": found[0], "dec_deg": found[1]}
    if BODY.fullmatch(text):
        return {"body": text}
    return {"name": checks.resolvable(text)}


def _id(word: str) -> str:
    """An id as its survey writes it: ZTF's letters are small."""
    return word if word.isdigit() else "ZTF" + word[3:].strip().lower()
