"""Which font a bulletin is printed with: one with Chinese glyphs, found on this machine."""

from pathlib import Path

FOLDERS = (
    Path("/usr/share/fonts"),
    Path("/usr/local/share/fonts"),
    Path("~/.local/share/fonts").expanduser(),
    Path("~/.fonts").expanduser(),
    Path("/Library/Fonts"),
    Path("/System/Library/Fonts"),
    Path("C:/Windows/Fonts"),
)
"""Where systems keep their fonts."""

KNOWN = (
    "NotoSansCJK-Regular.ttc",
    "NotoSansCJKsc-Regular.otf",
    "NotoSansSC-Regular.otf",
    "NotoSansSC-Regular.ttf",
    "SourceHanSansSC-Regular.otf",
    "SourceHanSansCN-Regular.otf",
    "wqy-microhei.ttc",
    "wqy-zenhei.ttc",
    "DroidSansFallbackFull.ttf",
    "DroidSansFallback.ttf",
    "simhei.ttf",
    "msyh.ttc",
    "simsun.ttc",
    "uming.ttc",
    "PingFang.ttc",
)
"""Files with Chinese glyphs, the best first."""

PROBE = "暴雨橙色预警"
"""Characters without which a typeface is of no use."""


class TypefaceError(Exception):
    """A font file cannot be used; the message says which and why."""


def find(file: str = "") -> Path | None:
    """Give the font file: the one that is named, else the best that is installed; None without."""
    if file:
        return Path(file)
    installed: dict[str, Path] = {}
    for folder in FOLDERS:
        if folder.is_dir():
            installed |= {path.name: path for path in sorted(folder.rglob("*.[ot]t[cf]"))}
    return next((installed[name] for name in KNOWN if name in installed), None)
