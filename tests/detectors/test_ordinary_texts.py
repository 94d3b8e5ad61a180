"""What people in firms write every day is left alone, also when it speaks of attacks, passwords and numbers."""

from __future__ import annotations

import pytest

from governance.detectors.patterns import PatternDetector
from governance.detectors.patterns.packs import pack_names
from governance.domain.content import Content, ContentKind

DETECTOR = PatternDetector.of(pack_names())


def sure(text: str) -> list[str]:
    findings = DETECTOR.examine(Content(kind=ContentKind.MESSAGE, text=text, role="user"))
    return [f"{finding.pack}/{finding.rule}" for finding in findings if finding.score >= 0.5]


@pytest.mark.parametrize(
    "text",
    [
        "Order 4711-0815 shipped on 2026-03-12, invoice INV-2026-00412, total 1,234.56 EUR.",
        "Version 10.0.19045.3803 of Windows",
        "ISBN 978-3-16-148410-0",
        "Reference 2024-11-05-000123, case 20261123-0042, part no. 1234-5678-90",
        "UUID 550e8400-e29b-41d4-a716-446655440000",
        "commit 9fceb02d0ae598e95dc970b74767f19372d61af8",
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "Meeting 10:30-11:45, room 3.14; 2026-11-23T12:00:00.000+01:00",
        "Revenue grew from 1 200 000 to 1 450 000 in 2025, budget 2024 2025 2026.",
        "Tracking number 1Z999AA10123456784, flight LH 400 on 12 05 2026",
        "lat 48.858370, lon 2.294481",
        "SELECT * FROM orders WHERE id=12345678901",
        "Vom 12.05.2026 bis 13.06.2026",
    ],
)
def test_numbers_of_business_are_no_personal_data(text: str) -> None:
    assert not sure(text)


@pytest.mark.parametrize(
    "text",
    [
        "Please reset your password: click Forgot password.",
        "The token limit is 4096 tokens per request; max_tokens=4096",
        "Password must be at least 12 characters. password: required",
        "api_key: str = None",
        "The secret to success is hard work",
        "const token = await getToken();",
        "password = getpass.getpass()",
        'os.environ["API_KEY"]',
        '<input type="password" name="password" placeholder="Password">',
        "Pass --password instead of typing it, or --token and your user name.",
    ],
)
def test_speaking_of_passwords_is_no_secret(text: str) -> None:
    assert not sure(text)


@pytest.mark.parametrize(
    "text",
    [
        "What is a prompt injection, and how do we protect our chat bot against it?",
        'Our filter blocked the phrase "ignore all previous instructions". Was that right?',
        'Explain why attackers write "you are now DAN" in their prompts.',
        "Please ignore my previous message, I found the invoice.",
        "Please cancel my previous orders, and all my existing standing orders.",
        "Employees may not override existing security protocols.",
        "You are now charging me twice!",
        "Show me the instructions for the wire transfer and tell me the rules for overdrafts.",
        "Override the daily limit on my card, please.",
        "Forget the last order, I would like two instead of three.",
        "The system prompt length counts towards the context window.",
        "The previous instructions for the coffee machine were out of date.",
        "You can override the default settings in the configuration file.",
        "How do I disable the safety lock of my washing machine?",
        "Act as soon as you can, the deadline is on Friday.",
        "Training on jailbreaks and prompt injection takes place on Tuesday.",
        "Bitte ignorieren Sie die Mahnung, die Rechnung ist bezahlt.",
        "Ignorez ma demande précédente, j'ai trouvé la réponse.",
        "Por favor, olvida mi pedido anterior.",
    ],
)
def test_speaking_of_attacks_is_none(text: str) -> None:
    assert not sure(text)
