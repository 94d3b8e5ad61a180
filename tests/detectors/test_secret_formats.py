"""Keys as providers and people write them. They are made up here, so that no scanner takes this file for a leak."""

from __future__ import annotations

import random
import string

import pytest

from governance.detectors.patterns import PatternDetector
from governance.domain.content import Content, ContentKind
from governance.privacy.redaction import Redactor

DETECTOR = PatternDetector.of(["secrets", "pii"])
LETTERS = string.ascii_letters + string.digits
HEX = "0123456789abcdef"

# What stands around a key, the key's letters, and how many; a key may have several such parts.
FORMATS: dict[str, tuple[str, tuple[tuple[str, int], ...]]] = {
    "aws id": ("AKIA{}", ((string.ascii_uppercase + "234567", 16),)),
    "aws secret": ("aws_secret_access_key = {}", ((LETTERS, 40),)),
    "aws secret in json": ('"SecretAccessKey": "{}"', ((LETTERS, 40),)),
    "google": ("AIza{}", ((LETTERS, 35),)),
    "azure storage": ("AccountName=x;AccountKey={}==;EndpointSuffix=core.windows.net", ((LETTERS, 86),)),
    "azure client": ("{}8Q~{}", ((LETTERS, 3), (LETTERS, 34))),
    "github": ("ghp_{}", ((LETTERS, 36),)),
    "github fine-grained": ("github_pat_{}_{}", ((LETTERS, 22), (LETTERS, 59))),
    "gitlab": ("glpat-{}", ((LETTERS, 20),)),
    "gitlab routable": ("glpat-{}.01.{}", ((LETTERS, 30), (string.ascii_lowercase + string.digits, 9))),
    "slack": ("xoxb-{}-{}-{}", ((string.digits, 12), (string.digits, 12), (LETTERS, 24))),
    "stripe live": ("rk_live_{}", ((LETTERS, 99),)),
    "stripe test": ("sk_test_{}", ((LETTERS, 24),)),
    "openai": ("sk-proj-{}T3BlbkFJ{}", ((LETTERS, 74), (LETTERS, 74))),
    "openai, old": ("sk-{}", ((LETTERS, 48),)),
    "anthropic": ("sk-ant-api03-{}AA", ((LETTERS, 93),)),
    "hugging face": ("hf_{}", ((LETTERS, 34),)),
    "npm": ("npm_{}", ((LETTERS, 36),)),
    "pypi": ("pypi-AgEIcHlwaS5vcmc{}", ((LETTERS, 150),)),
    "twilio": ("SK{}", ((HEX, 32),)),
    "sendgrid": ("SG.{}.{}", ((LETTERS, 22), (LETTERS, 43))),
    "mailgun": ("key-{}", ((HEX, 32),)),
    "telegram": ("{}:AA{}", (("123456789", 9), (LETTERS, 33))),
    "discord": ("MT{}.{}.{}", ((LETTERS, 24), (LETTERS, 6), (LETTERS, 38))),
    "shopify": ("shpat_{}", ((HEX, 32),)),
    "digital ocean": ("dop_v1_{}", ((HEX, 64),)),
    "databricks": ("dapi{}", ((HEX, 32),)),
    "private key in json": (
        '{{"private_key": "-----BEGIN PRIVATE KEY-----\\n{}\\n{}\\n-----END PRIVATE KEY-----\\n"}}',
        ((LETTERS, 64), (LETTERS, 64)),
    ),
    "ssh key": ("-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n-----END OPENSSH PRIVATE KEY-----", ((LETTERS, 70),)),
    "mongodb": ("mongodb+srv://admin:{}@cluster0.example.net/db", ((LETTERS, 12),)),
    "redis": ("redis://:{}@cache:6379/0", ((LETTERS, 12),)),
    "jdbc": ("jdbc:postgresql://db/app?user=app&password={}", ((LETTERS, 14),)),
    "ado": ("Server=tcp:x;Database=d;User ID=u;Password={};", ((LETTERS, 14),)),
    "bearer": ("Authorization: Bearer {}", ((LETTERS, 40),)),
    "header": ("X-Api-Key: {}", ((LETTERS, 32),)),
    "curl": ("curl -u admin:{} https://example.com", ((LETTERS, 14),)),
    "environment": ("DB_PASSWORD={}", ((LETTERS, 14),)),
    "export": ('export API_TOKEN="{}"', ((LETTERS, 24),)),
    "yaml": ("  password: {}", ((LETTERS, 14),)),
    "json": ('{{"password": "{}"}}', ((LETTERS, 14),)),
    "javascript": ("const apiKey = `{}`;", ((LETTERS, 24),)),
    "php": ("'db_password' => '{}',", ((LETTERS, 14),)),
    "xml": ("<password>{}</password>", ((LETTERS, 14),)),
    "go": ('token := "{}"', ((LETTERS, 30),)),
    "option": ("mysql -u root --password {}", ((LETTERS, 14),)),
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_key_is_found_and_nothing_of_it_is_shown(name: str) -> None:
    around, parts = FORMATS[name]
    chance = random.Random(name)
    for _ in range(20):
        made = ["".join(chance.choices(letters, k=size)) for letters, size in parts]
        text = "Here it is:\n" + around.format(*made) + "\nthanks"
        findings = DETECTOR.examine(Content(kind=ContentKind.MESSAGE, text=text, role="user"))
        said = Redactor().redact(text, findings)
        assert any(finding.category == "secret" for finding in findings), text
        # Short parts, as Azure's three letters, may be anywhere.
        assert not any(part in said for part in made if len(part) > 5), (text, said)
