"""The species of the demo data: their builds, coats and patterns."""

from typing import NamedTuple

BLACK, WHITE = "2a2625", "ece6da"
GREY, SILVER, SAND, CREAM = "77726d", "a9a49b", "c2a06c", "dcc69c"
GOLD, RED, BROWN, DARK_BROWN = "c08a45", "a85a2a", "7a5433", "4a3222"
PIG = "d8a48e"


class Build(NamedTuple):
    """Proportions of an animal; lengths in units of its height at the shoulder, about."""

    length: float
    leg: float
    chest: float
    waist: float
    limb: float
    neck: float
    neck_angle: float
    neck_radius: float
    head: float
    tail: str
    foot: str = "paw"
    hump: float = 0.0


DOG = Build(0.98, 0.66, 0.27, 0.20, 0.085, 0.40, 0.85, 0.17, 0.25, "sabre")
WOLF = Build(1.02, 0.72, 0.27, 0.19, 0.075, 0.42, 0.45, 0.21, 0.25, "bushy")
FOX = Build(1.0, 0.55, 0.22, 0.18, 0.06, 0.30, 0.6, 0.15, 0.23, "brush")
CAT = Build(0.92, 0.48, 0.21, 0.20, 0.065, 0.22, 0.75, 0.14, 0.26, "cat")
BIG_CAT = Build(1.2, 0.60, 0.28, 0.25, 0.10, 0.30, 0.45, 0.20, 0.27, "cat")


class Species(NamedTuple):
    """What one class looks like: its head, build, coats and the pattern on them."""

    head: str
    build: Build
    coats: tuple[tuple[str, str], ...]
    pattern: str = "plain"
    fur: float = 0.5


SPECIES = {
    "golden retriever": Species(
        "retriever",
        DOG._replace(tail="feathered"),
        ((GOLD, CREAM), (CREAM, WHITE), (RED, GOLD), (GOLD, CREAM)),
        fur=1.0,
    ),
    "Labrador retriever": Species(
        "retriever",
        DOG,
        ((SAND, CREAM), (BLACK, BLACK), (DARK_BROWN, BROWN), (CREAM, WHITE)),
        fur=0.15,
    ),
    "German shepherd": Species(
        "shepherd",
        DOG._replace(tail="bushy", length=1.05),
        ((GOLD, SAND), (SILVER, CREAM), (BROWN, SAND)),
        "saddle",
        0.6,
    ),
    "collie": Species(
        "collie",
        DOG._replace(tail="bushy", neck_radius=0.22),
        ((RED, WHITE), (SAND, WHITE), (BLACK, WHITE), (GREY, WHITE)),
        fur=1.3,
    ),
    "beagle": Species(
        "hound",
        DOG._replace(leg=0.5, head=0.26),
        ((WHITE, WHITE), (CREAM, WHITE)),
        "blanket",
        0.1,
    ),
    "dalmatian": Species(
        "hound",
        DOG._replace(chest=0.25, waist=0.17),
        ((WHITE, WHITE), (SILVER, WHITE), (CREAM, WHITE)),
        "dots",
        0.05,
    ),
    "Siberian husky": Species(
        "husky",
        WOLF._replace(neck_angle=0.75),
        ((GREY, WHITE), (BLACK, WHITE), (RED, WHITE), (SILVER, WHITE)),
        "saddle",
        0.8,
    ),
    "timber wolf": Species(
        "wolf",
        WOLF,
        ((GREY, SILVER), (SILVER, WHITE), (BROWN, CREAM), (BLACK, GREY), (SAND, CREAM)),
        "grizzled",
        1.1,
    ),
    "white wolf": Species("wolf", WOLF, ((WHITE, WHITE), (CREAM, WHITE), (SILVER, WHITE)), fur=1.1),
    "red fox": Species("fox", FOX, ((RED, WHITE), (GOLD, WHITE), (RED, CREAM)), fur=0.9),
    "tabby cat": Species(
        "cat",
        CAT,
        ((GREY, SILVER), (BROWN, SAND), (GOLD, CREAM), (SILVER, WHITE)),
        "tabby",
        0.4,
    ),
    "Persian cat": Species(
        "persian",
        CAT._replace(leg=0.38, chest=0.27, waist=0.26, limb=0.09, tail="brush", neck=0.14),
        ((WHITE, WHITE), (GREY, SILVER), (CREAM, WHITE), (BLACK, GREY), (GOLD, CREAM)),
        fur=1.3,
    ),
    "lion": Species(
        "lion", BIG_CAT._replace(tail="tuft"), ((SAND, CREAM), (GOLD, CREAM), (SAND, SAND)), fur=0.3
    ),
    "tiger": Species("tiger", BIG_CAT, ((GOLD, WHITE), (RED, CREAM), (WHITE, WHITE)), "tiger", 0.3),
    "leopard": Species(
        "leopard",
        BIG_CAT._replace(leg=0.55),
        ((SAND, WHITE), (GOLD, CREAM), (SILVER, WHITE)),
        "rosettes",
        0.2,
    ),
    "brown bear": Species(
        "bear",
        Build(1.0, 0.46, 0.38, 0.38, 0.14, 0.30, 0.25, 0.26, 0.28, "stub", hump=0.18),
        ((BROWN, BROWN), (DARK_BROWN, BROWN), (BROWN, SAND), (BLACK, DARK_BROWN)),
        fur=1.1,
    ),
    "hare": Species(
        "hare",
        Build(0.5, 0.26, 0.22, 0.28, 0.06, 0.14, 0.8, 0.14, 0.21, "puff"),
        ((BROWN, SAND), (GREY, SILVER), (WHITE, WHITE), (SAND, CREAM)),
        "grizzled",
        0.8,
    ),
    "ox": Species(
        "ox",
        Build(1.3, 0.55, 0.42, 0.40, 0.10, 0.34, 0.3, 0.25, 0.27, "whip", "hoof", 0.08),
        ((BROWN, BROWN), (BLACK, BLACK), (WHITE, WHITE), (RED, RED), (DARK_BROWN, BROWN)),
        "patches",
        0.1,
    ),
    "bighorn": Species(
        "ram",
        Build(1.0, 0.62, 0.33, 0.32, 0.065, 0.34, 0.7, 0.19, 0.24, "stub", "hoof"),
        ((BROWN, CREAM), (GREY, WHITE), (SAND, WHITE), (DARK_BROWN, CREAM)),
        fur=0.5,
    ),
    "elephant": Species(
        "elephant",
        Build(1.05, 0.58, 0.46, 0.48, 0.17, 0.2, 0.25, 0.30, 0.34, "whip", "pillar"),
        ((GREY, GREY), (SILVER, SILVER), (BROWN, GREY), (GREY, SILVER)),
        "wrinkles",
        0.0,
    ),
    "hog": Species(
        "hog",
        Build(1.15, 0.28, 0.36, 0.37, 0.085, 0.12, 0.05, 0.28, 0.29, "curl", "hoof"),
        ((PIG, PIG), (BLACK, BLACK), (BROWN, SAND), (PIG, CREAM), (GREY, GREY)),
        "patches",
        0.15,
    ),
}
