"""The shop's journal and its service pages: slug → title, lead, paragraphs."""

from __future__ import annotations

ARTICLES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "the-crust": (
        "How bread got its crust back",
        "A hot stone, a cup of water, and twenty minutes of not looking.",
        (
            "A crust needs steam first and dry heat later. Bakeries have a button for it.",
            "At home, put a cup of water into a hot pan on the oven's floor, and close the door.",
            "Take the pan out after twenty minutes. When the loaf cools, listen: it should sing.",
        ),
    ),
    "five-dinners": (
        "Five dinners, one basket",
        "What a chicken, a cabbage and a bag of rice can do from Monday to Friday.",
        (
            "Monday is roast chicken, with the cabbage's outer leaves under it.",
            "Tuesday the rest of the meat meets rice; Wednesday the bones become soup.",
            "Thursday is cabbage pancakes. On Friday somebody else may cook.",
        ),
    ),
    "recipes": (
        "What to do with winter greens",
        "Kale, chard, and the leaves that nobody knows the name of.",
        (
            "Take the stalks out, wash the leaves twice, and dry them well.",
            "A hot pan, oil, garlic, two minutes. A squeeze of lemon at the end.",
            "What is left over goes into tomorrow's omelette.",
        ),
    ),
    "how-we-deliver": (
        "How we deliver",
        "Ordered until ten at night, at your door the next morning.",
        (
            "We pick your order between four and six, when the shelves have just been filled.",
            "Cold things travel cold, and the driver rings once.",
        ),
    ),
    "how-we-pack": (
        "How we pack",
        "Heavy things below, eggs on top, and no bag that cannot be used again.",
        ("Bring the crates back with the next delivery; we wash them.",),
    ),
    "pickup": (
        "Collect on your way home",
        "Order by noon, and your crate waits at the counter from four.",
        ("Park in the first row and tell us your name. We carry.",),
    ),
    "ask": (
        "Ask the shop",
        "What goes with what, and what to take when it is sold out.",
        ("Ring the bell at the counter of any department, or write to us.",),
    ),
    "pharmacist": (
        "Ask our pharmacist",
        "On the phone from eight to eight. What you ask stays between you.",
        ("Have the package at hand, and tell us what else you take.",),
    ),
}
STORIES = ("the-crust", "five-dinners", "recipes")  # what the home page shows
