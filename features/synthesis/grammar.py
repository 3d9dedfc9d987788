"""The embedded corpus's sentences: an English grammar of several hundred words, three to nine to a sentence.

    sentence(numpy.random.default_rng(6))    ->  "the singers were busy and sleepy"

WORDS names groups of words that may stand in one another's place. PHRASES names groups of templates, in which
`{group}` stands for one draw from that group; a sentence is one draw from PHRASES["sentence"]. Verbs stand in
the past tense or after an auxiliary, so no rule of agreement is needed; "a" turns to "an" before a vowel.
Doubled letters ("cool") and apostrophes ("don't") are frequent, because a CTC model must learn to write them.
Most words that sound like another ("sea", "see") are left out: which one was meant could not be heard.

A word added, moved or taken away changes every corpus: the recipe hash in corpus.json covers both tables.
"""

from __future__ import annotations

import re

import numpy as np

MIN_WORDS, MAX_WORDS = 3, 9

WORDS: dict[str, tuple[str, ...]] = {
    group: tuple(words.split())
    for group, words in {
        "name": """anna peter william emma george lucy henry alice robert molly harry daniel sarah thomas jenny
               oscar hannah martin billy susan""",
        "person": """mother father brother sister uncle cousin teacher doctor farmer captain soldier lawyer
                 baker neighbor friend grandmother daughter husband driver singer painter sailor stranger
                 writer woman boy girl child queen prince butler officer""",
        "people": """children students workers women farmers soldiers neighbors singers doctors sailors visitors
                 friends teachers parents""",
        "subject": "he she they we i you",
        "animal": """dog cat horse rabbit chicken goose sheep pony kitten puppy fox wolf monkey squirrel eagle
                 turtle""",
        "thing": """book letter bottle window table chair basket hammer lamp mirror pencil picture ticket
                umbrella wagon wheel needle button candle blanket pillow carpet drum engine flag ladder map
                box key bell ball kettle spoon clock ring coin newspaper hat coat apron saddle rope barrel
                trunk""",
        "stuff": "paper cotton leather silver gold glass copper wool brick",
        "food": """bread butter cheese coffee soup cake pepper rice dinner supper milk honey lemon sugar pudding
               fish salad chocolate""",
        "quality": """cool small good little old happy pretty heavy empty broken simple clever gentle quiet
                  strong young tall deep narrow hidden wooden silly foolish friendly famous smooth red green
                  yellow black white brown purple gray golden pink""",
        "feeling": """happy angry sorry tired lonely hungry sleepy afraid ready busy proud calm sad cold merry
                  worried excited grateful""",
        "room": "kitchen garden attic cellar bedroom stable office school library barn cottage yard",
        "landmark": """river village bridge harbor forest mountain church market island castle station hill lake
                   valley meadow tower city tunnel street beach""",
        "past": """found lost carried dropped opened pulled pushed painted repaired borrowed brought bought sold
               kept forgot hid washed cleaned needed wanted followed noticed moved took left""",
        "base": """find lose carry drop open pull push paint repair borrow bring sell keep forget hide wash
               clean move follow notice take leave""",
        "met": "met helped called thanked visited trusted warned married remembered invited missed",
        "ate": "cooked tasted wanted ordered finished shared spilled liked refused offered",
        "went": """walked waited slept stayed worked lived stopped stood played sang danced jumped laughed fell
               ran""",
        "go": "walk wait sleep stay work stop stand play sing dance jump laugh run swim travel",
        "manner": "slowly quickly quietly carefully softly gladly suddenly alone together badly",
        "rarely": "never always often seldom still finally really soon",
        "may": "can could should must will might can't couldn't shouldn't won't wouldn't",
        "near": "in near behind beside across from",
        "under": "under behind beside on",
        "owner": "my your his her our",
        "number": "two three five six seven nine ten eleven twelve fifteen twenty thirty forty fifty",
        "hour": "one two three five six seven nine ten eleven twelve",
        "things": """books letters bottles tables horses coins apples stones wheels chickens boxes bells boats
                 trees flowers glasses rabbits pennies streets hills maps""",
        "day": "monday tuesday wednesday thursday friday saturday sunday",
        "month": "january march april june july august september november december",
        "part": "morning evening afternoon",
        "period": "week month year summer winter spring",
        "sky": "sun moon wind rain snow storm fog thunder",
        "changed": "came stopped began passed faded returned vanished",
        "nature": "tree stone flower grass cloud star leaf shadow feather fire",
        "thought": "said thought hoped felt believed agreed",
        "place": "home outside upstairs downstairs nearby away inside abroad",
        "being": "i'm you're we're they're he's she's",
        "doing": """leaving coming waiting looking sleeping cooking reading singing running falling going
                working""",
        "having": "i've we've you've they've",
        "done": "seen found lost forgotten finished broken taken heard",
        "shall": "i'll we'll you'll they'll he'll she'll",
        "question": "where when why how",
    }.items()
}

PHRASES: dict[str, tuple[str, ...]] = {
    group: tuple(lines.strip().splitlines())
    for group, lines in {
        "sentence": """
{who} {past} {what}
{who} {past} {what} {time}
{who} {past} {what} {where}
{who} {rarely} {past} {what}
{who} didn't {base} {what}
{who} {may} {base} {what}
{who} {went} {where}
{who} {went} {manner} {where}
{who} {may} {go} {where}
{who} {met} {whom} {time}
{who} {met} {whom} {where}
{who} {ate} the {food} {time}
{who} {ate} some {food} and {food}
{who} was {feeling} {time}
{who} wasn't {feeling} at all
{who} {thought} it was too {quality}
the {quality} {animal} {went} {where}
a {animal} {past} {owner} {thing}
the {people} {went} {manner} {time}
the {people} were {feeling} and {feeling}
{number} {things} fell {where}
we counted {number} {things} {time}
{number} hundred {things} are too many
the {sky} {changed} {time}
the {sky} {changed} and the {sky} {changed}
the {nature} and the {nature} looked {quality}
there was a {quality} {nature} {where}
it's {quality} but it isn't {quality}
that's {owner} {quality} {stuff} {thing}
{being} {doing} {time}
{being} {doing} {where}
{having} {done} {what}
{having} {rarely} {done} {what}
{shall} {base} {what} {time}
{shall} {go} {where}
{question} did {who} {base} {what}
{question} did {whom} {go} {manner}
please {base} {what} {time}
please don't {base} {what}
let's {go} {place} {time}
what's {under} {what}
who {past} {what}
i don't {thought_now} {who} {past} it
come {place} and {base} {what}""",
        "who": """
{subject}
{subject}
{name}
{name}
the {person}
{owner} {person}
the {quality} {person}""",
        "whom": """
{name}
the {person}
{owner} {person}
the {people}""",
        "what": """
the {thing}
the {thing}
a {thing}
{owner} {thing}
the {quality} {thing}
a {quality} {thing}
the {stuff} {thing}
{number} {things}
the {animal}
it""",
        "where": """
{near} the {landmark}
{near} the {room}
{under} the {thing}
{place}""",
        "time": """
at {hour} o'clock
on {day}
in {month}
in the {part}
last {period}
every {part}
today
yesterday
tonight
again
before {food}
after {hour} days""",
        "thought_now": """
think
know if
believe""",
    }.items()
}

GRAMMAR = {**WORDS, **PHRASES}
_LINES = " ".join(line for lines in GRAMMAR.values() for line in lines)
VOCABULARY = frozenset(re.sub(r"{\w+}", " ", _LINES).split()) | {"an"}


def sentence(rng: np.random.Generator) -> str:
    """Draw a sentence in lower case, of MIN_WORDS to MAX_WORDS words."""
    while True:
        words = _expand("{sentence}", rng)
        if MIN_WORDS <= len(words.split()) <= MAX_WORDS:
            return re.sub(r"\ba (?=[aeiou])", "an ", words)


def _expand(template: str, rng: np.random.Generator) -> str:
    while (slot := re.search(r"{(\w+)}", template)) is not None:
        choices = GRAMMAR[slot[1]]
        template = template[: slot.start()] + choices[rng.integers(len(choices))] + template[slot.end() :]
    return template
