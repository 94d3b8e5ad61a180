"""Words that say what a number, a date or a sentence is about: English first, and the commonest of other languages."""

from __future__ import annotations

import functools


def _table(lines: str) -> dict[str, str]:
    """`value: word word ...` a line, as word → value."""
    return {
        word: value.strip()
        for line in lines.strip().splitlines()
        for value, _, words in [line.partition(":")]
        for word in words.split()
    }


def _words(words: str) -> frozenset[str]:
    return frozenset(words.split())


MONTHS: dict[str, int] = {
    word: int(value)
    for word, value in _table(
        """
        1: january jan januar jänner janvier enero gennaio janeiro januari styczeń stycznia
        2: february feb februar février fevrier febrero febbraio fevereiro februari luty lutego
        3: march mar märz maerz mars marzo março maart marzec marca
        4: april apr avril abril aprile kwiecień kwietnia
        5: may mai mayo maggio maio mei maj maja
        6: june jun juni juin junio giugno junho czerwiec czerwca
        7: july jul juli juillet julio luglio julho lipiec lipca
        8: august aug août aout agosto augustus augusti sierpień sierpnia
        9: september sep sept septembre septiembre settembre setembro wrzesień września
        10: october oct oktober octobre octubre ottobre outubro okt październik października
        11: november nov novembre noviembre novembro listopad listopada
        12: december dec dezember décembre decembre diciembre dicembre dezembro dez grudzień grudnia
        """
    ).items()
}

NUMBER_WORDS: dict[str, int] = {
    word: int(value)
    for word, value in _table(
        """
        0: zero null zéro cero
        2: two zwei deux dos due dois duas twee twice both
        3: three drei trois tres tre três drie thrice
        4: four vier quatre cuatro quattro quatro
        5: five fünf cinq cinco cinque vijf
        6: six sechs seis sei zes
        7: seven sieben sept siete sette sete zeven
        8: eight acht huit ocho otto oito
        9: nine neun neuf nueve nove negen
        10: ten zehn dix diez dieci dez tien
        11: eleven elf onze once undici
        12: twelve zwölf douze doce dodici doze twaalf dozen
        13: thirteen dreizehn treize trece tredici
        14: fourteen vierzehn quatorze catorce quattordici
        15: fifteen fünfzehn quinze quince quindici
        16: sixteen sechzehn seize dieciséis
        17: seventeen siebzehn diecisiete
        18: eighteen achtzehn dieciocho
        19: nineteen neunzehn diecinueve
        20: twenty zwanzig vingt veinte venti vinte
        30: thirty dreißig trente treinta trenta
        40: forty vierzig quarante cuarenta quaranta
        50: fifty fünfzig cinquante cincuenta cinquanta
        60: sixty sechzig soixante sesenta sessanta
        70: seventy siebzig
        80: eighty achtzig
        90: ninety neunzig
        100: hundred hundert cent cien cento
        """
    ).items()
}
"""Not "one": it is an article and a pronoun."""

ORDINAL_WORDS: dict[str, int] = {
    word: int(value)
    for word, value in _table(
        """
        1: first erste ersten premier première primero primera
        2: second zweite zweiten deuxième segundo segunda
        3: third dritte dritten troisième tercero tercera
        4: fourth vierte quatrième cuarto
        5: fifth fünfte cinquième quinto
        6: sixth
        7: seventh
        8: eighth
        9: ninth
        10: tenth zehnte dixième
        """
    ).items()
}

SCALES: dict[str, float] = {
    word: float(value)
    for word, value in _table(
        """
        1e3: thousand k tausend tsd mille mila tys
        1e5: lakh
        1e6: million millions millionen mio mn mm millón millones milione milioni milhão milhões miljoen mln
        1e7: crore
        1e9: billion billions bn milliarde milliarden mrd milliard milliards miliardo miliardi miljard mld
        1e12: trillion trillions tn billionen
        """
    ).items()
}

MONEY: dict[str, str] = _table(
    """
    eur: € eur euro euros
    usd: $ usd dollar dollars us$
    gbp: £ gbp pounds sterling quid
    jpy: ¥ jpy yen
    chf: chf franken francs
    inr: ₹ inr rupee rupees rs
    cny: cny rmb yuan
    """
)

UNITS: dict[str, tuple[str, float]] = {
    word: (dimension, float(factor))
    for dimension, lines in {
        "percent": """
            1: % percent pct prozent procent pourcent per-cent
            0.01: bp bps
            0.1: ‰
            """,
        "time": """
            1: second seconds sec secs s sekunde sekunden seconde secondes segundo segundos secondi
            60: minute minutes min mins minuten minuto minutos minuti
            3600: hour hours hr hrs h stunde stunden std heure heures hora horas ora ore uur
            86400: day days tag tage tagen jour jours día días giorno giorni dia dias dagen
            604800: week weeks woche wochen semaine semaines semana semanas settimana settimane weken
            """,
        "months": """
            1: month months monat monate monaten mois mes meses mese mesi mês maand maanden
            3: quarter quarters quartal quartale trimestre trimestres
            12: year years yr yrs jahr jahre jahren an ans année années año años anno anni ano anos jaar
            """,
        "length": """
            0.001: mm millimetre millimetres millimeter millimeters
            0.01: cm centimetre centimetres centimeter centimeters zentimeter
            1: m metre metres meter meters mètre mètres metros metri
            1000: km kilometre kilometres kilometer kilometers kilomètres kilómetros
            0.3048: ft foot feet
            0.0254: inch inches
            1609.344: mile miles
            """,
        "mass": """
            0.001: mg
            1: g gram grams gramm
            1000: kg kilo kilos kilogram kilograms kilogramm
            453.59237: lb lbs
            1000000: t tonne tonnes tons
            """,
        "data": """
            1e3: kb
            1e6: mb
            1e9: gb
            1e12: tb
            """,
        "volume": """
            0.001: ml
            1: l litre litres liter liters
            """,
        "area": """
            1: m² sqm
            1e4: ha hectare hectares hektar
            1e6: km²
            """,
        "degrees": """
            1: ° °c celsius
            """,
    }.items()
    for word, factor in _table(lines).items()
}

ORDINAL_SUFFIXES = frozenset({"st", "nd", "rd", "th", "er", "ère", "e", "ème", "º", "ª", "."})

FUNCTION_WORDS: dict[str, frozenset[str]] = {
    language: frozenset(words.split())
    for language, words in {
        "en": """
            the of and to in is that it for was with as on are by this be at from or have has had which but
            they you we he she his her their its not were been will can would there if when what who an a
            about into than them so our your do does did also may such these those any all more no only some
            should could must i my me us him how then because while where other after before over under
            between each both here very just being
            """,
        "de": """
            der die das und ist in zu den mit von für auf nicht ein eine einer einem einen eines dem des im
            es sich auch als an am werden wird wurde aus er sie sind hat haben bei nach durch oder um zum
            zur über wie wenn kann können ich du wir ihr ihre ihren sein seine nur noch bis vor daß dass so
            man aber war waren
            """,
        "fr": """
            le la les de des du un une et est en que qui dans pour pas sur au aux ce cette ces il elle ils
            elles nous vous je se son sa ses par avec ne plus ou mais sont été être avoir a ont leur leurs
            si comme tout
            """,
        "es": """
            el la los las de del un una y es en que por para con no se su sus al lo como más pero fue son ha
            han está este esta o si ya le les entre cuando muy sin sobre también
            """,
        "it": """
            il lo la gli le di del della dei delle un una e è in che per con non si su da al alla nel nella
            come più ma sono ha hanno questo questa o se anche i
            """,
        "pt": """
            o a os as de do da dos das um uma e é em que por para com não se seu sua no na nos nas ao à como
            mais mas foi são este esta ou também
            """,
        "nl": """
            de het een en is in van te dat die voor op met zijn niet aan er om ook als bij door maar uit
            naar hij ze wij u wordt worden werd kan kunnen nog of deze dit
            """,
    }.items()
}

NEGATIONS = _words(
    """
    don't doesn't didn't isn't aren't wasn't weren't won't wouldn't can't couldn't shouldn't haven't hasn't hadn't
    mustn't mustn’t
    don’t doesn’t didn’t isn’t aren’t wasn’t weren’t won’t wouldn’t can’t couldn’t shouldn’t haven’t hasn’t hadn’t
    not no never none neither nor without cannot cant nothing nobody nowhere lacks lacking lack fails failed
    fail refuses refused refuse excludes excluded excluding prohibited forbidden denied declined declines
    unable nicht kein keine keinen keiner keines keinem nie niemals ohne weder pas jamais aucun aucune sans
    ningún ninguna nunca sin tampoco mai nessun nessuna senza não nenhum nenhuma sem niet geen nooit zonder
    """
)

NO_REAL_NEGATION = frozenset(
    {"only", "just", "merely", "longer", "least", "limited", "nur", "bloß", "seulement", "solo"}
)
"""After "not" or "no": "not only ... but also" denies nothing."""

ANTONYMS = """
increase decrease | increased decreased | increases decreases | increasing decreasing | rise fall | rises falls |
rose fell | rising falling | grow shrink | grew shrank | more less | more fewer | higher lower | high low |
highest lowest | above below | over under | before after | include exclude | includes excludes |
included excluded | including excluding | accept reject | accepts rejects | accepted rejected | accept decline |
accepted declined | accepts declines | allow prohibit | allowed prohibited | allows prohibits |
allowed forbidden | permitted prohibited | approve reject | approved rejected | approved denied |
approves rejects | grant deny | granted denied | succeed fail | succeeded failed | succeeds fails |
success failure | win lose | won lost | wins loses | buy sell | bought sold | buys sells | open closed |
opened closed | opens closes | start end | started ended | begin end | begins ends | began ended |
maximum minimum | most least | always never | all none | mandatory optional | required optional |
mandatory voluntary | compulsory voluntary | legal illegal | possible impossible | able unable |
available unavailable | agree disagree | agrees disagrees | agreed disagreed | like dislike | same different |
similar different | early late | earlier later | earliest latest | easy difficult | easy hard | easily hardly |
free paid | first last | expand reduce | raise lower | raised lowered | raise reduce | large small |
larger smaller | largest smallest | big small | bigger smaller | new old | newest oldest | younger older |
youngest oldest | young old | up down | upper lower | gain loss | gains losses | profit loss | import export |
imports exports | positive negative | public private | short long | shorter longer | hot cold | warm cold |
active inactive | join leave | joined left | with without | fast slow | faster slower | quick slow |
quickly slowly | temporary permanent | internal external | domestic foreign | national international |
local remote | online offline | cheap expensive | cheaper costlier | strong weak | stronger weaker |
strengthen weaken | strengthened weakened | safe dangerous | safe unsafe | true false | right wrong |
correct incorrect | direct indirect | full empty | full partial | fully partially | complete partial |
complete incomplete | valid invalid | enabled disabled | enable disable | supports opposes | support oppose |
supported opposed | support undermine | advance delay | praise criticize | praised criticized |
praised criticised | present absent | present past | north south | east west | northern southern |
eastern western | left right | inside outside | indoor outdoor | male female | men women | husband wife |
father mother | son daughter | brother sister | king queen | day night | daytime nighttime | morning evening |
summer winter | monthly yearly | monthly annual | weekly monthly | daily weekly | arrive depart |
arrived departed | arrival departure | borrow lend | lender borrower | buyer seller | employer employee |
landlord tenant | plaintiff defendant | debit credit | deposit withdrawal | deposit withdraw | credited debited |
refundable nonrefundable | fixed variable | single multiple | simple complex | simple complicated |
certain uncertain | likely unlikely | relevant irrelevant | necessary unnecessary | satisfied dissatisfied |
satisfied unsatisfied | interested uninterested | successful unsuccessful | successfully unsuccessfully |
effective ineffective | efficient inefficient | sufficient insufficient | adequate inadequate | secure insecure |
aware unaware | known unknown | familiar unfamiliar | happy unhappy | limited unlimited |
restricted unrestricted | conditional unconditional | ordinary exclusive | inclusive exclusive |
transparent opaque | clear unclear | formal informal | regular irregular | lawful unlawful |
authorised unauthorised | authorized unauthorized | encouraged discouraged | encourage discourage |
encourages discourages | improve worsen | improved worsened | improves worsens | better worse | best worst |
benefit harm | benefits harms | healthy unhealthy | created destroyed | build destroy | attack defend |
attacked defended | remember forget | remembered forgot | love hate | hired fired | hire fire |
employed unemployed | guilty innocent | convicted acquitted | majority minority | victory defeat | ally enemy |
superior inferior | major minor | ancient modern | urban rural | wet dry | heavy light | dark light | thick thin |
deep shallow | wide narrow | rich poor | wealthy poor | hide reveal | hid revealed | confirm deny |
confirmed denied | confirms denies | appoint dismiss | appointed dismissed | promote demote | promoted demoted |
acquire divest | acquired divested | premium standard | steigen sinken | steigt sinkt | stieg sank |
erhöht gesenkt | erlaubt verboten | möglich unmöglich | immer nie | mehr weniger | höher niedriger |
augmenter diminuer | augmente diminue | augmenté diminué | autorisé interdit | plus moins | aumentar disminuir |
aumentó disminuyó | permitido prohibido | más menos | siempre nunca
"""


@functools.cache
def antonyms() -> dict[str, frozenset[str]]:
    """Each word's opposites, both ways."""
    opposites: dict[str, set[str]] = {}
    for pair in ANTONYMS.replace("\n", " ").split("|"):
        one, other = pair.split()
        opposites.setdefault(one, set()).add(other)
        opposites.setdefault(other, set()).add(one)
    return {word: frozenset(others) for word, others in opposites.items()}


NOT_NAMES = _words(
    """
    the a an this that these those it its he she they we you i my your our his her their there here what which
    who whom whose when where why how if as at in on of for from to with by about into over under after before
    during while since until although though because however therefore thus hence moreover furthermore
    additionally also finally first second third next then overall generally usually typically currently
    please note yes no not sure okay ok thanks thank hello hi dear regards best sincerely let and or but so
    nor yet both either neither each every all any some many most few several such other another one two three
    four five six seven eight nine ten according based given unfortunately sorry certainly absolutely great
    good step steps example examples summary answer question questions table section article chapter figure
    page notes source sources document documents mr mrs ms dr prof sir madam monday tuesday wednesday thursday
    friday saturday sunday january february march april may june july august september october november
    december you're i'm it's don't can't won't i'd i'll i've we're we'll we've here's there's that's what's
    could would should can might must will shall do does did is are was were be been being has have had make
    get use see find check contact call send ask open click choose select enter go keep try yes. today
    tomorrow yesterday now key main total value only just like unlike depending more less than even still
    never always often instead once again
    """
)
"""Words with a capital at the beginning of a sentence, a title or a list that name nobody."""

CITING = _words(
    """
    states stated state says said saying wrote writes reads according quote quoted quotes quoting
    specifies specified clause policy document documents article contract passage excerpt mentions mentioned
    notes noted explains explained describes described claims claimed declared declares announced reported
    reports defines defined laut besagt sagt heißt steht lautet zitiert selon indique dit écrit dice según
    afirma indica secondo afferma
    """
)
"""Near a quotation they say that somebody else's words are given, not an example or a title."""

DERIVING = _words(
    """
    total totals totalling totaling sum sums altogether combined average mean difference calculated
    calculation equals equal computed roughly approximately about around nearly almost estimated estimate
    ungefähr etwa circa ca environ insgesamt summe zusammen durchschnitt différence moyenne suma diferencia
    promedio per pro par por
    """
)
"""Near a number they say that it was worked out, or rounded."""

OFFERS = _words(
    """
    let please feel contact reach ask happy glad hope sorry apologize apologise thank thanks welcome help
    assist would recommend suggest bitte gerne hilfe merci veuillez gracias por favor
    """
)
"""A sentence that begins with one of them speaks to the user, and claims nothing about the sources."""

NUMBERED = _words(
    """
    article section clause step part chapter level page table figure no nr paragraph rule phase version band
    tier option question item appendix annex schedule line row artikel abschnitt ziffer kapitel seite absatz
    artículo sección étape niveau stufe schritt plan type class category
    """
)
"""A number after one of them names a part or a kind, and counts nothing."""
