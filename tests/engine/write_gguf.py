"""Weights and pieces from a .npz file to llama.cpp's form: `python write_gguf.py IN.npz OUT.gguf`. Needs gguf."""

import sys

import gguf  # pyright: ignore[reportMissingImports]
import numpy as np

source, target = sys.argv[1:]
arrays = dict(np.load(source))
pieces, scores, types = (arrays.pop(name).tolist() for name in ("pieces", "scores", "types"))
embedding = arrays["token_embd.weight"]
writer = gguf.GGUFWriter(target, "llama")
writer.add_block_count(1)
writer.add_context_length(4096)
writer.add_embedding_length(embedding.shape[1])
writer.add_feed_forward_length(arrays["blk.0.ffn_up.weight"].shape[0])
writer.add_head_count(2)
writer.add_layer_norm_rms_eps(1e-5)
writer.add_tokenizer_model("llama")
writer.add_token_list(pieces)
writer.add_token_scores(scores)
writer.add_token_types([gguf.TokenType[kind] for kind in types])
writer.add_pad_token_id(0)
writer.add_eos_token_id(1)
writer.add_unk_token_id(2)
writer.add_add_bos_token(False)
for name, array in arrays.items():
    writer.add_tensor(name, array.astype(np.float32))
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
