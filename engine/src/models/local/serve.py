"""Serves a GGUF model on a loopback port, as an OpenAI-compatible server, until standard input closes.

Started by the supervisor beside this file: `python -c <this> MODEL THREADS NAME`. The one line on standard output is
JSON with the server's address; everything else that llama.cpp has to say goes to standard error.
Standard input is a pipe whose other end the supervisor holds. It closes when the supervisor lets go of it or dies,
however it dies, so this process never outlives the server that started it.
"""

import json
import os
import sys
import threading


def exit_with_parent():
    while os.read(0, 4096):
        pass
    # Not sys.exit: llama.cpp's threads would be waited for.
    os._exit(0)


def main():
    model, threads, name = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    # llama.cpp may print; only the address may reach the pipe that the supervisor reads.
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    threading.Thread(target=exit_with_parent, daemon=True).start()

    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = model
    params.model_alias = {name}
    # Four requests at once share one context window, so that a single long prompt may use nearly all of it.
    params.n_ctx = 8192
    params.n_parallel = 4
    params.kv_unified = True
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = threads
    # Old prompts are kept for reuse, by default in up to 8 GB of memory.
    params.cache_ram_mib = 64
    # A model this small falls into loops unless what it has just said is made less likely.
    params.sampling.penalty_repeat = 1.15
    params.sampling.penalty_last_n = 256
    params.ui = False
    params.endpoint_slots = False
    # No page in a browser may talk to it.
    params.cors_origins = ""
    params.offline = True
    params.verbosity = 1
    server = xllamacpp.Server(params)

    print(json.dumps({"address": server.listening_address}), file=answer, flush=True)
    answer.close()
    threading.Event().wait()


main()
