"""Checks of what a phrase means in its sentence: said to a model, about business, in a report, about a device, or
quoted.

Each check takes the text and a place (code points, end exclusive).
"""

from __future__ import annotations

import re


def _around(text: str, start: int, end: int, before: int, after: int) -> str:
    return text[max(0, start - before) : end + after].lower()


_WEAK_VERB = re.compile(
    r"(?:overrid|discard|skip|void|nullify|abandon|set aside|drop|cancel|erase|wipe)\w*", re.IGNORECASE
)
_WEAK_NOUN = re.compile(
    r"(?:orders|commands?|constraints?|training|context|assignments?|tasks?|configuration|protocols?)$",
    re.IGNORECASE,
)
_OURS, _YOURS = re.compile(r"\b(?:my|our)\b", re.IGNORECASE), re.compile(r"\byour?\b", re.IGNORECASE)
_FORBIDDEN = re.compile(
    r"(?:\bnot|n.t|\bnever|\bcannot|\bwithout|\bforbidden to|\bavoid|\bnobody may|\bno one may)\s+$", re.IGNORECASE
)


def not_business(text: str, start: int, end: int) -> bool:
    """Neither an order that a customer cancels ("cancel my last orders", "override the default configuration") nor
    something that a handbook forbids ("never skip safety protocols").
    """
    said = text[start:end]
    if _FORBIDDEN.search(text[max(0, start - 16) : start]):
        return False
    if not _WEAK_NOUN.search(said):
        return True
    return bool(_YOURS.search(said)) if _WEAK_VERB.match(said) else not _OURS.search(said)


_SERVICE = re.compile(
    r"(?:now|on you (?:are|will)|forward,? you(?: will| are)?)\s+(?:be )?(?:able|connected|logged|signed|"
    r"ready|eligible|enrolled|subscribed|"
    r"verified|registered|free to|entitled|leaving|viewing|part of|a (?:member|customer|subscriber)|required|"
    r"charg(?:ed|ing)|asking|refusing|telling me|sending|blocking|protected|all set|in (?:the|a) queue|"
    r"receive|see|find|hear|need)|your new (?:role|job|task|goal|purpose|name|identity) (?:is|will be) (?:in|"
    r"at|with|to (?:lead|manage)|starting)|"
    r"hurt (?:you|me) to|die (?:of|from) (?:laugh|shame)|shoot (?:you|them|him|her) (?:an? )?(?:e-?mail|"
    r"message|text|note)|kill (?:it|time|the|two)"
)


def not_service_notice(text: str, start: int, end: int) -> bool:
    """Not what a service tells its customer: "you are now able to log in"."""
    return not _SERVICE.search(_around(text, start, end, 0, 30))


_DEFINITION = re.compile(
    r"what (?:is|are) (?:an? |the (?:concept|definition|meaning|purpose|role|use) of (?:an? |"
    r"the )?)?(?:typical )?(?:system|hidden|base|initial)"
)


def not_definition(text: str, start: int, end: int) -> bool:
    """Asks for the prompt itself, not for what prompts are."""
    hit = text[start:end].lower()
    return not _DEFINITION.match(hit) and not re.match(
        r"(?:write|give|show|tell)\b.{0,20}\b(?:example|me about|how|an? (?:good|effective))", hit
    )


def not_noun_phrase(text: str, start: int, end: int) -> bool:
    """ "the user", not "the user list" or "the customer service"."""
    return not re.match(
        r"[ -](?:list|service|data|base|names?|interface|id|guide|manual|experience|group|account|information)",
        text[end : end + 14].lower(),
    )


_MODEL = re.compile(
    r"\b(?:you|your|yourself|ai|a\.i\.|assistant|chat ?bot|chatgpt|gpt|model|llm|persona|character|role|"
    r"role-?play|pretend|act as|respond|"
    r"dan|answer|bot|jailb\w+|prompt|du|ki|ia|ii|tu|eres|sei|voce|actua|antworte)\b|\u4f60|\u60a8|ai|"
    r"\u3042\u306a\u305f|\u0442\u044b|\u0438\u0438|\u0438\u0433\u0440\u0430"
)


def about_model(text: str, start: int, end: int) -> bool:
    """Addressed to a model, or about one: a loan without restrictions has nothing to do with it."""
    return bool(_MODEL.search(_around(text, start, end, 150, 60)))


_ASSISTANT = re.compile(
    r"\b(?:ki|ia|ai|dir|dich|du|deine?[mnrs]?|tu|te|ton|tes|ta|vous|votre|vos|t'as|as|sus?|tus?|ti|tua?|tuo|"
    r"tue|hai|ricevuto|"
    r"voce|seus?|suas?|lhe|leitet|antreibt|recue?s?|recib\w+|opera|operi|segu\w+|basas|construido)\b"
)


def about_assistant(text: str, start: int, end: int) -> bool:
    """Said to an assistant about itself: one of the words for you, your or AI in the same sentence."""
    return bool(_ASSISTANT.search(_around(text, start, end, 60, 60)))


def not_device(text: str, start: int, end: int) -> bool:
    """A mode of the model, not of a telephone, a browser or a game."""
    around = _around(text, start, end, 80, 80)
    return not re.search(
        r"\b(?:android|iphone|ios|windows|phone|browser|chrome|router|minecraft|game|tablet|kodi|roku|console|"
        r"linux|mac ?os|bios|grub|laptop)\b",
        around,
    )


def not_education(text: str, start: int, end: int) -> bool:
    return not re.search(
        r"education|curriculum|prevent|protect|abuse (?:report|survivor)|safeguard", _around(text, start, end, 60, 60)
    )


def not_report(text: str, start: int, end: int) -> bool:
    return not re.search(
        r"\b(?:report|prevent|detect|avoid|protect|recogni[sz]e|spot|against|victim|was|were|been|combat|anti)\b",
        text[start:end].lower(),
    )


def no_where(text: str, start: int, end: int) -> bool:
    """A DELETE or UPDATE of all rows: no condition, or one that is always true."""
    hit = text[start:end].lower()
    return "where" not in hit or bool(re.search(r"where\s+(?:1|true|'1)", hit))


_QUOTE_OPENS = re.compile(r"[\"'`“‘«„「『]\s?[^\"'`“”‘’«»\n]{0,40}$")
_QUOTE_CLOSES = re.compile(r"^[^\"'`“”‘’«»\n]{0,80}[\"'`”’»“」』]")
_SPOKEN_ABOUT = re.compile(
    r"\b(?:phrases?|sentences?|words?|strings?|wording|prompt.?injections?|jailbreaks?|attacks?|attackers?|"
    r"adversar\w+|hackers?|malicious|"
    r"e\.g\.|for example|such as|examples?|explain|what does|meaning|mean|means|called|known as|detect\w*|"
    r"classif\w+|block(?:ed|s|ing)?|filter\w*|"
    r"training|awareness|article|blog|paper|research\w*|why|angriffe?|beispiel|attaque|exemple|ataque|ejemplo|"
    r"attacco|esempio|exemplo)\b"
)


def mentioned(text: str, start: int, end: int) -> bool:
    """In quotation marks, in a sentence about phrases, attacks or examples: mentioned, not said."""
    if not _QUOTE_OPENS.search(text[max(0, start - 60) : start]) or not _QUOTE_CLOSES.match(text[end : end + 120]):
        return False
    return bool(_SPOKEN_ABOUT.search(_around(text, start, start, 160, 0) + " " + text[end : end + 160].lower()))
