"""Checks that a regex cannot make, by the names that packs use in `validate`.

Each takes the text and a place (code points, end exclusive), and says whether the place is what the rule looks for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from governance.detectors.patterns import contacts, identifiers, payments, secret_values, signs, wording
from governance.detectors.patterns.context import Check, stands_alone

VALIDATORS: Final[Mapping[str, Check]] = {
    **identifiers.ISSUED,
    **{
        check.__name__: check
        for check in (
            contacts.address,
            contacts.mac,
            contacts.phone,
            contacts.phone_in_column,
            contacts.phone_in_groups,
            identifiers.be_number,
            identifiers.birth_date,
            identifiers.cn_id,
            identifiers.cpr,
            identifiers.dea,
            identifiers.hetu,
            identifiers.hkid,
            identifiers.kr_number,
            identifiers.mrz,
            identifiers.no_number,
            identifiers.npi,
            identifiers.nric,
            identifiers.pps,
            identifiers.se_number,
            identifiers.snils,
            identifiers.ssn,
            identifiers.tw_id,
            identifiers.vin,
            identifiers.za_id,
            payments.aba,
            payments.account_number,
            payments.base58_check,
            payments.bech32,
            payments.card,
            payments.clabe,
            payments.iban,
            payments.iban_shaped,
            payments.split_card,
            payments.wallet,
            secret_values.no_example,
            secret_values.not_repeated,
            secret_values.option_value,
            secret_values.password_in_url,
            secret_values.phrase_value,
            secret_values.random_assigned,
            secret_values.random_value,
            secret_values.secret_value,
            secret_values.told_value,
            secret_values.token_header,
            signs.mixed_script,
            signs.no_emoji,
            signs.no_right_to_left,
            signs.not_flag,
            signs.opaque,
            wording.about_assistant,
            wording.about_model,
            wording.no_where,
            wording.not_business,
            wording.not_definition,
            wording.not_device,
            wording.not_education,
            wording.not_noun_phrase,
            wording.not_report,
            wording.not_service_notice,
        )
    },
    "alone": stands_alone,
}
