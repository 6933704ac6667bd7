"""How many parts an SMS is sent in: GSM 03.38 and UCS-2."""

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("\f^{}\\[~]|€")

GSM_ONE, GSM_JOINED = 160, 153
UCS_ONE, UCS_JOINED = 70, 67


def is_gsm(text: str) -> bool:
    """Say whether every character is of the seven-bit alphabet."""
    return all(letter in _BASIC or letter in _EXTENDED for letter in text)


def count(text: str) -> int:
    """Give the number of segments: 160 or 70 characters alone, 153 or 67 when joined.

    A pair (extended character, or one beyond the basic plane) is never cut in two.
    """
    if is_gsm(text):
        return _parts([2 if letter in _EXTENDED else 1 for letter in text], GSM_ONE, GSM_JOINED)
    return _parts([2 if ord(letter) > 0xFFFF else 1 for letter in text], UCS_ONE, UCS_JOINED)


def _parts(sizes: list[int], one: int, joined: int) -> int:
    if sum(sizes) <= one:
        return 1
    parts, room = 1, joined
    for size in sizes:
        if size > room:
            parts, room = parts + 1, joined
        room -= size
    return parts
