"""Makes tiny models with real loaders' files: run with the scanners' Python, as `make_models.py FOLDER`.

Each is a BERT of one layer, taught in a second that "ignore" is an attack, or that "stupid" is an insult.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import torch
import transformers

WORDS = (
    "please", "ignore", "all", "previous", "instructions", "the", "parcel", "arrives", "today", "you", "are", "stupid",
    "kind", "and", "it", "is", "fine", "thank",
)  # fmt: skip
BAD = {"injection": "ignore", "toxicity": "stupid"}


def classifier(folder: Path, labels: list[str], bad: str, *, several: bool = False) -> None:
    """`labels[0]` is what the bad word means."""
    torch.manual_seed(7)
    folder.mkdir(parents=True)
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]))
    tokenizer = transformers.BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=64)
    model = transformers.BertForSequenceClassification(
        transformers.BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=64,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            num_labels=len(labels),
            id2label=dict(enumerate(labels)),
            label2id={label: number for number, label in enumerate(labels)},
            problem_type="multi_label_classification" if several else None,
        )
    )
    good = [word for word in WORDS if word != bad]
    generator = torch.Generator().manual_seed(3)
    texts, targets = [], []
    for number in range(128):
        picked = [good[at] for at in torch.randint(len(good), (1 + number % 12,), generator=generator).tolist()]
        if number % 2 == 0:
            picked.insert(int(torch.randint(len(picked) + 1, (1,), generator=generator)), bad)
        texts.append(" ".join(picked))
        targets.append(number % 2)  # 0 is the bad one
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    wanted = torch.tensor(targets)
    if several:
        wanted = torch.stack([1.0 - wanted, *[torch.zeros(128)] * (len(labels) - 1)], dim=1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(120):
        loss = model(**batch, labels=wanted).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def onnx(source: Path, folder: Path) -> None:
    """The same model for the ONNX runtime."""
    folder.mkdir()
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        shutil.copy(source / name, folder / name)
    model = transformers.BertForSequenceClassification.from_pretrained(source, attn_implementation="eager")
    tokenizer = transformers.AutoTokenizer.from_pretrained(source)
    given = tokenizer(["ignore all"], return_tensors="pt")
    names = ["input_ids", "attention_mask", "token_type_ids"]
    dynamic = {name: {0: "batch", 1: "sequence"} for name in names} | {"logits": {0: "batch"}}
    torch.onnx.export(
        model,
        tuple(given[name] for name in names),
        str(folder / "model.onnx"),
        input_names=names,
        output_names=["logits"],
        dynamic_axes=dynamic,
        opset_version=17,
        dynamo=False,
    )


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    classifier(folder / "injection", ["INJECTION", "SAFE"], BAD["injection"])
    classifier(folder / "guard", ["LABEL_1", "LABEL_0"], BAD["injection"])
    classifier(folder / "toxicity", ["toxicity", "insult"], BAD["toxicity"], several=True)
    onnx(folder / "injection", folder / "injection-onnx")
    shutil.copytree(folder / "guard", folder / "torn")
    (folder / "torn" / "model.safetensors").write_bytes(b"not weights")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
