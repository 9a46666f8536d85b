"""Kinds of client, by their User-Agent header: browser family and platform.

Browsers update overnight, so versions are left out. Two headers of one installation must give
one kind for as long as a session lives; telling apart what is seldom met matters less. Why
this is a table of ours: docs/adr/0009-client-kinds.md.
"""

from __future__ import annotations

READ = 512
"""Characters of a header that are looked at. Browsers send fewer than 300, apps up to 500."""

_LONGEST = 40
"""Characters of a tool's name that count."""

# The first that is found names the family. Nearly all browsers claim to be Chrome, Safari or
# both as well, and in-app views claim the browser that they are made of, so these come last.
_FAMILIES = (
    # Apps that show pages in a view of their own.
    ("fban/", "facebook"),
    ("fbav/", "facebook"),
    ("fb_iab/", "facebook"),
    ("instagram ", "instagram"),
    ("barcelona ", "threads"),
    ("micromessenger/", "wechat"),
    (" line/", "line"),
    ("linkedinapp", "linkedin"),
    ("snapchat/", "snapchat"),
    ("pinterest/", "pinterest"),
    ("[pinterest", "pinterest"),
    ("musical_ly", "tiktok"),
    ("bytedancewebview", "tiktok"),
    ("twitter for ", "twitter"),
    ("teams/", "teams"),
    ("slack/", "slack"),
    ("gsa/", "google"),
    # Browsers on top of others' engines.
    ("edg/", "edge"),
    ("edga/", "edge"),
    ("edgios/", "edge"),
    ("edge/", "edge"),
    ("opr/", "opera"),
    ("opt/", "opera"),
    ("opx/", "opera"),
    ("opios/", "opera"),
    ("opera/", "opera"),
    ("samsungbrowser/", "samsung"),
    ("duckduckgo/", "duckduckgo"),
    ("ddg/", "duckduckgo"),
    ("yabrowser/", "yandex"),
    ("vivaldi/", "vivaldi"),
    ("brave/", "brave"),
    ("ucbrowser/", "uc"),
    ("miuibrowser/", "miui"),
    ("huaweibrowser/", "huawei"),
    ("heytapbrowser/", "heytap"),
    ("vivobrowser/", "vivo"),
    ("whale/", "whale"),
    ("silk/", "silk"),
    ("seamonkey/", "seamonkey"),
    ("palemoon/", "palemoon"),
    ("electron/", "electron"),
    ("headlesschrome/", "headlesschrome"),
    # The engines' own browsers; on iOS they have names of their own.
    ("crios/", "chrome"),
    ("fxios/", "firefox"),
    ("focus/", "firefox"),
    ("firefox/", "firefox"),
    ("trident/", "ie"),
    ("msie ", "ie"),
    ("; wv)", "webview"),
    ("chrome/", "chrome"),
    ("chromium/", "chrome"),
)

# The first that is found names the platform: Windows phones claim Android and iPhone, Android
# claims Linux, and iPhones are "like Mac OS X".
_PLATFORMS = (
    ("windows phone", "windows-phone"),
    ("xbox", "xbox"),
    ("windows", "windows"),
    ("win32", "windows"),
    ("kaios", "kaios"),
    ("tizen", "tizen"),
    ("web0s", "webos"),
    ("harmony", "harmony"),
    ("android", "android"),
    ("iphone", "ios"),
    ("ipad", "ios"),
    ("ipod", "ios"),
    ("; ios", "ios"),
    ("playstation", "playstation"),
    ("cros ", "chromeos"),
    ("macintosh", "macos"),
    ("mac os x", "macos"),
    ("macos", "macos"),
    ("darwin", "apple"),
    ("freebsd", "bsd"),
    ("openbsd", "bsd"),
    ("netbsd", "bsd"),
    ("x11", "linux"),
    ("linux", "linux"),
)

_BROWSERS = ("mozilla/", "opera/")
_BOT = "compatible; "


def kind_of(user_agent: str) -> str:
    """Name the kind of client: ``chrome/windows``, ``curl``, and ``/`` if nothing was sent."""
    text = user_agent[:READ].strip().lower()
    if not text:
        return "/"
    family = _browser(text) if text.startswith(_BROWSERS) else _product(text)
    platform = next((name for sign, name in _PLATFORMS if sign in text), None)
    return f"{family}/{platform}" if platform else family


def _browser(text: str) -> str:
    _, is_bot, name = text.partition(_BOT)
    if is_bot and not name.startswith("msie"):
        return _product(name)
    known = next((name for sign, name in _FAMILIES if sign in text), None)
    return known or _apple(text) or "other"


def _apple(text: str) -> str | None:
    """Tell Safari, a view in an app, and Android's old browser apart: none has its own name."""
    if "applewebkit/" not in text:
        return None
    if "android" in text:
        return "android"
    return "safari" if "safari/" in text else "webview"


def _product(text: str) -> str:
    """Take the name of the first product, as far as it is one: ``curl/8.1`` is ``curl``."""
    end = next((place for place, sign in enumerate(text) if sign in "/ \t;,()+"), len(text))
    return text[: min(end, _LONGEST)] or "other"
