"""Encoders small enough to be fine-tuned in a test: random weights, words as tokens."""

from collections.abc import Iterable
from pathlib import Path

WORDS = 400


def tiny_encoder(folder: Path, texts: Iterable[str]) -> Path:
    """A folder that transformers loads: BERT of 2 layers, 16 wide, over the words of `texts`."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast, set_seed

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=WORDS, special_tokens=special)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    set_seed(0)
    config = BertConfig(
        vocab_size=WORDS,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=160,
        initializer_range=0.5,  # or what it says hardly depends on what it reads
    )
    BertModel(config).save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=160,
        **dict(zip(("pad_token", "unk_token", "cls_token", "sep_token"), special, strict=True)),
    ).save_pretrained(folder)
    return folder
