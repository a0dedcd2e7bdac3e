#include "daemon/cli/context.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <thread>

#include "common/format.h"
#include "common/subprocess.h"
#include "common/visible_text.h"

namespace buildwarden::cli {
namespace {

// Flushed each time: what follows may take minutes, and the reader may be a pipe.
void write_to(std::FILE* stream, std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stream);
  std::fflush(stream);
}

std::string ask_buildx_version() {
  const auto end = run_program({"docker", "buildx", "version"}, std::chrono::seconds{2});
  return end && end->exit_code == 0 ? end->output : std::string();
}

}  // namespace

Context process_context() {
  Context context;
  context.out = [](std::string_view text) { write_to(stdout, text); };
  context.err = [](std::string_view text) { write_to(stderr, text); };
  context.out_arrived = [] { return std::ferror(stdout) == 0; };
  context.env = [](const std::string& name) {
    const char* value = std::getenv(name.c_str());  // NOLINT(concurrency-mt-unsafe): one thread, nobody sets it
    return std::string(value == nullptr ? "" : value);
  };
  context.buildx_version = ask_buildx_version;
  context.terminal = [env = context.env] { return terminal_of_stdout(env); };
  context.pause = [](Duration time) {
    std::this_thread::sleep_for(time);
    return true;
  };
  context.out_is_terminal = ::isatty(STDOUT_FILENO) == 1;
  return context;
}

void print_json(const Context& context, std::string_view document) { context.out(visible_json(document) + "\n"); }

void complain(const Context& context, std::string_view text) {
  context.err(format("buildwarden: {}\n", visible(text)));
}

}  // namespace buildwarden::cli
