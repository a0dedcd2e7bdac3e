// crowd - an engine with very much on it, for as long as standard input is open.
//
// usage: crowd SOCKET IMAGES RECORDS VOLUMES
//
// Exit codes: 0 standard input was closed; 1 cannot listen; 2 wrong usage.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>

#include "tests/bench/crowded_engine.h"

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fputs("usage: crowd SOCKET IMAGES RECORDS VOLUMES\n", stderr);
    return 2;
  }
  try {
    const buildwarden::bench::CrowdedEngine engine(argv[1], std::atoi(argv[2]), std::atoi(argv[3]), std::atoi(argv[4]));
    std::puts("ready");
    std::fflush(stdout);
    for (char byte = 0; ::read(STDIN_FILENO, &byte, 1) > 0;) {
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "crowd: %s\n", error.what());
    return 1;
  }
  return 0;
}
