"""Kinds of client, from headers as they are sent."""

from __future__ import annotations

import re

import pytest

from chalicelib.security.clients import READ, kind_of

_WIN = "Mozilla/5.0 (Windows NT 10.0; Win64; x64)"
_MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)"
_LINUX = "Mozilla/5.0 (X11; Linux x86_64)"
_DROID = "Mozilla/5.0 (Linux; Android 10; K)"
_IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X)"
_IPAD = "Mozilla/5.0 (iPad; CPU OS 17_4 like Mac OS X)"
_BLINK = "AppleWebKit/537.36 (KHTML, like Gecko)"
_WEBKIT = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
_CHROME = f"{_BLINK} Chrome/124.0.0.0 Safari/537.36"
_CHROME_MOBILE = f"{_BLINK} Chrome/124.0.0.0 Mobile Safari/537.36"
_VIEW = (
    "Mozilla/5.0 (Linux; Android 14; Pixel 8 Build/UQ1A.240205.004; wv) AppleWebKit/537.36 "
    "(KHTML, like Gecko) Version/4.0 Chrome/122.0.6261.64 Mobile Safari/537.36"
)
_IOS_VIEW = f"{_IPHONE} {_WEBKIT} Mobile/15E148"

HEADERS = [
    # Chrome
    (f"{_WIN} {_CHROME}", "chrome/windows"),
    (f"{_MAC} {_CHROME}", "chrome/macos"),
    (f"{_LINUX} {_CHROME}", "chrome/linux"),
    (f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {_CHROME}", "chrome/chromeos"),
    (f"{_DROID} {_CHROME_MOBILE}", "chrome/android"),
    (f"{_DROID} {_CHROME}", "chrome/android"),
    (f"{_IPHONE} {_WEBKIT} CriOS/124.0.6367.68 Mobile/15E148 Safari/604.1", "chrome/ios"),
    (f"{_IPAD} {_WEBKIT} CriOS/124.0.6367.68 Mobile/15E148 Safari/604.1", "chrome/ios"),
    (f"{_WIN} {_BLINK} HeadlessChrome/124.0.0.0 Safari/537.36", "headlesschrome/windows"),
    (
        f"{_LINUX} {_BLINK} Ubuntu Chromium/37.0.2062.94 Chrome/37.0.2062.94 Safari/537.36",
        "chrome/linux",
    ),
    # Edge
    (f"{_WIN} {_CHROME} Edg/124.0.0.0", "edge/windows"),
    (f"{_MAC} {_CHROME} Edg/124.0.2478.51", "edge/macos"),
    (f"{_WIN} {_BLINK} Chrome/64.0.3282.140 Safari/537.36 Edge/18.17763", "edge/windows"),
    (f"{_DROID} {_CHROME_MOBILE} EdgA/124.0.0.0", "edge/android"),
    (
        f"{_IPHONE} {_WEBKIT} Version/17.0 EdgiOS/124.2478.50 Mobile/15E148 Safari/605.1.15",
        "edge/ios",
    ),
    # Safari
    (f"{_MAC} {_WEBKIT} Version/17.4.1 Safari/605.1.15", "safari/macos"),
    (f"{_IPHONE} {_WEBKIT} Version/17.4.1 Mobile/15E148 Safari/604.1", "safari/ios"),
    (f"{_IPAD} {_WEBKIT} Version/17.4.1 Mobile/15E148 Safari/604.1", "safari/ios"),
    (
        "Mozilla/5.0 (iPod touch; CPU iPhone OS 12_5 like Mac OS X) AppleWebKit/605.1.15 "
        "(KHTML, like Gecko) Version/12.1.2 Mobile/15E148 Safari/604.1",
        "safari/ios",
    ),
    # Firefox
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:125.0) Gecko/20100101 Firefox/125.0",
        "firefox/windows",
    ),
    (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 14.4; rv:125.0) Gecko/20100101 Firefox/125.0",
        "firefox/macos",
    ),
    (
        "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:125.0) Gecko/20100101 Firefox/125.0",
        "firefox/linux",
    ),
    ("Mozilla/5.0 (Android 14; Mobile; rv:125.0) Gecko/125.0 Firefox/125.0", "firefox/android"),
    (f"{_IPHONE} {_WEBKIT} FxiOS/125.0 Mobile/15E148 Safari/605.1.15", "firefox/ios"),
    (
        "Mozilla/5.0 (X11; FreeBSD amd64; rv:125.0) Gecko/20100101 Firefox/125.0",
        "firefox/bsd",
    ),
    # Others on top of them
    (f"{_WIN} {_CHROME} OPR/109.0.0.0", "opera/windows"),
    (f"{_DROID} {_CHROME_MOBILE} OPR/81.6.4292.78446", "opera/android"),
    (
        f"{_IPHONE} {_WEBKIT} Version/17.4 Mobile/15E148 Safari/604.1 OPT/4.7.0",
        "opera/ios",
    ),
    (f"{_IPHONE} {_WEBKIT} Version/17.4 Mobile/15E148 Safari/604.1 OPX/2.1.1", "opera/ios"),
    ("Opera/9.80 (J2ME/MIDP; Opera Mini/7.1.32052/29.3709; U; en) Presto/2.8.119", "opera"),
    ("Opera/9.80 (Windows NT 6.1; WOW64) Presto/2.12.388 Version/12.18", "opera/windows"),
    (
        f"Mozilla/5.0 (Linux; Android 14; SAMSUNG SM-S918B) {_BLINK} SamsungBrowser/24.0 "
        "Chrome/117.0.0.0 Mobile Safari/537.36",
        "samsung/android",
    ),
    (f"{_WIN} {_CHROME} Vivaldi/6.7.3329.17", "vivaldi/windows"),
    (
        f"{_WIN} {_BLINK} Chrome/122.0.0.0 YaBrowser/24.4.0.0 Safari/537.36",
        "yandex/windows",
    ),
    (f"{_MAC} {_WEBKIT} Version/17.4 Safari/605.1.15 Ddg/17.4", "duckduckgo/macos"),
    (f"{_DROID} {_CHROME_MOBILE} DuckDuckGo/5", "duckduckgo/android"),
    (
        f"Mozilla/5.0 (Linux; Android 9; KFTRWI) {_BLINK} Silk/122.1.1 like Chrome/122.0.0.0 "
        "Safari/537.36",
        "silk/android",
    ),
    (
        "Mozilla/5.0 (Linux; U; Android 13; en-us; 2201117TG) AppleWebKit/537.36 (KHTML, like "
        "Gecko) Version/4.0 Chrome/100.0.4896.127 Mobile Safari/537.36 XiaoMi/MiuiBrowser/14.4.0-g",
        "miui/android",
    ),
    (f"{_WIN} {_BLINK} Whale/3.25.232.19 Chrome/122.0.0.0 Safari/537.36", "whale/windows"),
    (f"{_MAC} {_BLINK} Electron/29.1.0 Chrome/122.0.6261.70 Safari/537.36", "electron/macos"),
    (
        "Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko",
        "ie/windows",
    ),
    ("Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1; Trident/4.0)", "ie/windows"),
    (
        "Mozilla/5.0 (Linux; U; Android 4.0.3; ko-kr; LG-L160L) AppleWebKit/534.30 (KHTML, like "
        "Gecko) Version/4.0 Mobile Safari/534.30",
        "android/android",
    ),
    (
        "Mozilla/5.0 (Windows Phone 10.0; Android 6.0.1; Microsoft; Lumia 950) "
        f"{_BLINK} Chrome/52.0.2743.116 Mobile Safari/537.36 Edge/15.15254",
        "edge/windows-phone",
    ),
    (
        "Mozilla/5.0 (SMART-TV; LINUX; Tizen 6.0) AppleWebKit/537.36 (KHTML, like Gecko) "
        "76.0.3809.146/6.0 TV Safari/537.36",
        "safari/tizen",
    ),
    # Views inside of apps
    (_VIEW, "webview/android"),
    (_IOS_VIEW, "webview/ios"),
    (
        f"{_VIEW} [FB_IAB/FB4A;FBAV/459.0.0.45.109;IABMV/1;]",
        "facebook/android",
    ),
    (
        f"{_IOS_VIEW} [FBAN/FBIOS;FBAV/459.0.0.31.109;FBBV/583937483;FBDV/iPhone13,2;FBMD/iPhone;"
        "FBSN/iOS;FBSV/17.4;FBSS/3;FBID/phone;FBLC/nb_NO;FBOP/5]",
        "facebook/ios",
    ),
    (
        f"{_IOS_VIEW} Instagram 326.0.4.32.90 (iPhone14,5; iOS 17_4; nb_NO; scale=3.00)",
        "instagram/ios",
    ),
    (
        f"{_VIEW} Instagram 326.0.0.42.90 Android (34/14; 420dpi; 1080x2400; Google/google)",
        "instagram/android",
    ),
    (f"{_IOS_VIEW} MicroMessenger/8.0.48(0x1800302b) NetType/WIFI", "wechat/ios"),
    (f"{_IOS_VIEW} Safari Line/14.5.0", "line/ios"),
    (f"{_IOS_VIEW} [LinkedInApp]/9.29.5464", "linkedin/ios"),
    (f"{_IOS_VIEW} Snapchat/12.82.0.41 (like Safari/8617.2.4.10.8, panda)", "snapchat/ios"),
    (f"{_IOS_VIEW} [Pinterest/iOS]", "pinterest/ios"),
    (f"{_IOS_VIEW} musical_ly_33.8.0 JsSdk/2.0 NetType/WIFI", "tiktok/ios"),
    (f"{_IPHONE} {_WEBKIT} GSA/312.0.625 Mobile/15E148 Safari/604.1", "google/ios"),
    # Bots that pose as browsers
    ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "googlebot"),
    (
        "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; bingbot/2.0; "
        "+http://www.bing.com/bingbot.htm) Chrome/116.0.1938.76 Safari/537.36",
        "bingbot",
    ),
    (
        f"Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) {_CHROME_MOBILE} "
        "(compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "googlebot/android",
    ),
    ("facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
     "facebookexternalhit"),
    # Tools
    ("curl/8.1", "curl"),
    ("curl/7.68.0", "curl"),
    ("python-httpx/0.27.0", "python-httpx"),
    ("python-requests/2.31.0", "python-requests"),
    ("Python-urllib/3.12", "python-urllib"),
    ("Wget/1.21.2 (linux-gnu)", "wget/linux"),
    ("PostmanRuntime/7.37.3", "postmanruntime"),
    ("Go-http-client/1.1", "go-http-client"),
    ("okhttp/4.12.0", "okhttp"),
    ("node", "node"),
    ("axios/1.6.8", "axios"),
    ("Java/17.0.10", "java"),
    ("Apache-HttpClient/4.5.14 (Java/17.0.10)", "apache-httpclient"),
    ("Dalvik/2.1.0 (Linux; U; Android 14; SM-S918B Build/UP1A.231005.007)", "dalvik/android"),
    ("Wizard/1.4.2 (com.example.wizard; build:7; iOS 17.4.1) Alamofire/5.9.1", "wizard/ios"),
    ("Wizard/7 CFNetwork/1494.0.7 Darwin/23.4.0", "wizard/apple"),
    ("Mozilla/5.0 (Windows NT; Windows NT 10.0; en-US) WindowsPowerShell/5.1.22621.2506",
     "other/windows"),
    # Nothing, or next to it
    ("", "/"),
    (" \t ", "/"),
    ("Mozilla/5.0", "other"),
    ("Mozilla", "mozilla"),
    ("/", "other"),
    ("æøå/1", "æøå"),
    ("\ud83d", "\ud83d"),
]  # fmt: skip


@pytest.mark.parametrize(("user_agent", "kind"), HEADERS)
def test_kinds(user_agent: str, kind: str) -> None:
    assert kind_of(user_agent) == kind


@pytest.mark.parametrize(("user_agent", "kind"), HEADERS)
def test_an_update_changes_nothing(user_agent: str, kind: str) -> None:
    """All numbers grow, as they do overnight, but for those that are parts of names."""
    updated = re.sub(r"(?<=[/ _.:])\d+", lambda match: str(int(match[0]) + 1), user_agent)
    assert kind_of(updated) == kind


def test_capitals_do_not_count() -> None:
    assert kind_of("CURL/8.1") == kind_of("curl/8.1")


@pytest.mark.parametrize(
    "hostile",
    [
        "Mozilla/5.0 " + "(" * 10_000,
        "Mozilla/5.0 " + "compatible; " * 1_000,
        "a" * 10_000,
        "/" * 10_000,
        " " * 10_000,
        "Mozilla/5.0 " + "Chrome " * 1_500,
    ],
)
def test_a_hostile_header_makes_a_short_kind(hostile: str) -> None:
    assert len(kind_of(hostile)) < 60


def test_what_comes_late_is_not_read() -> None:
    assert kind_of("x" * READ + " (Windows NT 10.0)") == "x" * 40
