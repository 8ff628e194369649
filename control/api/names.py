"""Names: which texts Kubernetes accepts as names, labels, ports, keys, and what it says about the others.

Each function returns the list of complaints, empty where the text is fine, as apimachinery's `validation.Is...` do. The
texts of the complaints are theirs, regular expressions included. Valid names are by far the most frequent, so each
function tries one compiled expression first.
"""

from __future__ import annotations

import ipaddress
import re

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = _LABEL + r"(\." + _LABEL + ")*"
_LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_WILDCARD = r"\*\." + _SUBDOMAIN
_QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_VALUE = f"({_QUALIFIED})?"
_CONFIG_KEY = "[-._a-zA-Z0-9]+"
_HEADER = "[-A-Za-z0-9]+"
_PERCENT = "[0-9]+%"
_C_IDENTIFIER = "[A-Za-z_][A-Za-z0-9_]*"
_PATH = r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+"

_label = re.compile(_LABEL)
_subdomain = re.compile(_SUBDOMAIN)
_label_1035 = re.compile(_LABEL_1035)
_wildcard = re.compile(_WILDCARD)
_qualified = re.compile(_QUALIFIED)
_short_qualified = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_label_value = re.compile(_LABEL_VALUE)
_config_key = re.compile(_CONFIG_KEY)
_header = re.compile(_HEADER)
_percent = re.compile(_PERCENT)
_c_identifier = re.compile(_C_IDENTIFIER)

LABEL_MAX = 63
SUBDOMAIN_MAX = 253
PORT_NAME_MAX = 15
CONFIG_KEY_MAX = 253

_LABEL_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character"
)
_SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character"
)
_LABEL_1035_RULE = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character"
)
_WILDCARD_RULE = (
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of "
    "lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character"
)
_QUALIFIED_RULE = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
)
_LABEL_VALUE_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character"
)


def longer_than(most: int) -> str:
    return f"must be no more than {most} bytes"


def outside(least: int, most: int) -> str:
    return f"must be between {least} and {most}, inclusive"


def breaks(rule: str, expression: str, *examples: str) -> str:
    """apimachinery's RegexError, its doubled space included."""
    if not examples:
        return f"{rule} (regex used for validation is '{expression}')"
    shown = " or ".join(f"'{example}', " for example in examples)
    return f"{rule} (e.g. {shown}regex used for validation is '{expression}')"


def dns_label(value: str) -> list[str]:
    """RFC 1123: names of namespaces, containers, volumes."""
    if len(value) <= LABEL_MAX and _label.fullmatch(value):
        return []
    found = [longer_than(LABEL_MAX)] if len(value) > LABEL_MAX else []
    if not _label.fullmatch(value):
        if _subdomain.fullmatch(value):
            found.append("must not contain dots")
        else:
            found.append(breaks(_LABEL_RULE, _LABEL, "my-name", "123-abc"))
    return found


def dns_subdomain(value: str) -> list[str]:
    """RFC 1123 with dots: names of most objects."""
    if len(value) <= SUBDOMAIN_MAX and _subdomain.fullmatch(value):
        return []
    found = [longer_than(SUBDOMAIN_MAX)] if len(value) > SUBDOMAIN_MAX else []
    if not _subdomain.fullmatch(value):
        found.append(breaks(_SUBDOMAIN_RULE, _SUBDOMAIN, "example.com"))
    return found


def dns_1035_label(value: str) -> list[str]:
    """RFC 1035: starts with a letter."""
    found = [longer_than(LABEL_MAX)] if len(value) > LABEL_MAX else []
    if not _label_1035.fullmatch(value):
        found.append(breaks(_LABEL_1035_RULE, _LABEL_1035, "my-name", "abc-123"))
    return found


def wildcard_subdomain(value: str) -> list[str]:
    found = [longer_than(SUBDOMAIN_MAX)] if len(value) > SUBDOMAIN_MAX else []
    if not _wildcard.fullmatch(value):
        found.append(breaks(_WILDCARD_RULE, _WILDCARD, "*.example.com"))
    return found


def qualified_name(value: str) -> list[str]:
    """[prefix/]name: label and annotation keys, finalizers, condition types."""
    if _short_qualified.fullmatch(value):
        return []
    prefix, slash, name = value.rpartition("/")
    if "/" in prefix:
        rule = breaks("a valid label key " + _QUALIFIED_RULE, _QUALIFIED, "MyName", "my.name", "123-abc")
        return [rule + " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"]
    found = []
    if slash and not prefix:
        found.append("prefix part must be non-empty")
    elif slash:
        found += [f"prefix part {message}" for message in dns_subdomain(prefix)]
    if not name:
        found.append("name part must be non-empty")
    elif len(name) > LABEL_MAX:
        found.append(f"name part {longer_than(LABEL_MAX)}")
    if not _qualified.fullmatch(name):
        found.append("name part " + breaks(_QUALIFIED_RULE, _QUALIFIED, "MyName", "my.name", "123-abc"))
    return found


def prefixed_name(value: str) -> list[str]:
    """A qualified name that must have its prefix (a controller's name, a signer)."""
    found = qualified_name(value)
    if not found and "/" not in value:
        return ["must include a prefix (e.g. 'example.com/key')"]
    return found


def label_value(value: str) -> list[str]:
    if len(value) <= LABEL_MAX and _label_value.fullmatch(value):
        return []
    found = [longer_than(LABEL_MAX)] if len(value) > LABEL_MAX else []
    if not _label_value.fullmatch(value):
        found.append(breaks(_LABEL_VALUE_RULE, _LABEL_VALUE, "MyValue", "my_value", "12345"))
    return found


def path_segment(value: str, *, prefix: bool = False) -> list[str]:
    """What may stand between two slashes of a request path: the weakest rule for a name."""
    if not prefix and value in (".", ".."):
        return [f"may not be '{value}'"]
    return [f"may not contain '{char}'" for char in ("/", "%") if char in value]


def port_number(value: int) -> list[str]:
    return [] if 1 <= value <= 65535 else [outside(1, 65535)]


def port_name(value: str) -> list[str]:
    """IANA_SVC_NAME, RFC 6335."""
    found = []
    if len(value) > PORT_NAME_MAX:
        found.append(longer_than(PORT_NAME_MAX))
    if not re.fullmatch("[-a-z0-9]+", value):
        found.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", value):
        found.append("must contain at least one letter (a-z)")
    if "--" in value:
        found.append("must not contain consecutive hyphens")
    if value and (value[0] == "-" or value[-1] == "-"):
        found.append("must not begin or end with a hyphen")
    return found


def env_name(value: str) -> list[str]:
    """A container's variable: since 1.34 everything printable except '='."""
    if not value:
        return ["environment variable name must be non-empty"]
    if all(" " <= char <= "~" and char != "=" for char in value):
        return []
    return ["a valid environment variable name must consist only of printable ASCII characters other than '='"]


def config_key(value: str) -> list[str]:
    """A key of a ConfigMap or Secret: it must work as a file name."""
    found = [longer_than(CONFIG_KEY_MAX)] if len(value) > CONFIG_KEY_MAX else []
    if not _config_key.fullmatch(value):
        rule = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
        found.append(breaks(rule, _CONFIG_KEY, "key.name", "KEY_NAME", "key-name"))
    if value == ".":
        found.append("must not be '.'")
    elif value == "..":
        found.append("must not be '..'")
    elif value.startswith(".."):
        found.append("must not start with '..'")
    return found


def header_name(value: str) -> list[str]:
    if _header.fullmatch(value):
        return []
    rule = "a valid HTTP header must consist of alphanumeric characters or '-'"
    return [breaks(rule, _HEADER, "X-Header-Name")]


def percentage(value: str) -> list[str]:
    if _percent.fullmatch(value):
        return []
    rule = "a valid percent string must be a numeric string followed by an ending '%'"
    return [breaks(rule, _PERCENT, "1%", "93%")]


def ip_address(value: str) -> list[str]:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]
    return []
