// Commands in containers.
#include <functional>
#include <memory>
#include <utility>

#include "common/format.h"
#include "common/loop_timer.h"
#include "daemon/engine/decode.h"
#include "daemon/engine/encode.h"
#include "daemon/engine/engine.h"
#include "daemon/engine/output.h"

namespace buildwarden::engine {
namespace asio = boost::asio;

namespace {

constexpr Duration kExecCreateDeadline = std::chrono::seconds{10};
constexpr Bytes kFramesOfOutput = 4;  // both streams and the heads of small frames
constexpr std::size_t kInlineFrames = 262'144;
constexpr Duration kDecodeDeadline = std::chrono::seconds{30};
constexpr int kExitCodeTries = 50;
constexpr Duration kExitCodePause{20};

}  // namespace

ports::Async<ports::ContainerControl::ExecResult> Engine::exec_in_container(std::string id,
                                                                            std::vector<std::string> command,
                                                                            ExecLimits limits) {
  const auto doing = format("running a command in container {}", id);
  const auto encoded = encode_name(id);
  if (!encoded) co_return Error(encoded.error()).with_context(doing);
  Call create;
  create.method = "POST";
  create.target = format("/containers/{}/exec", *encoded);
  create.body = encode_exec(command);
  create.limits.deadline = kExecCreateDeadline;
  auto exec = co_await transport_.ask(std::move(create), &decode_id);
  if (!exec) co_return std::move(exec).error().with_context(doing);
  Call start;
  start.method = "POST";
  start.target = format("/exec/{}/start", *exec);
  start.body = encode_exec_start();
  start.limits.deadline = limits.deadline;
  start.limits.max_body = kFramesOfOutput * limits.output;
  auto ran = co_await transport_.call(std::move(start));
  if (!ran) co_return std::move(ran).error().with_context(doing);
  auto output = co_await read_output(std::move(ran->body), static_cast<std::size_t>(limits.output));
  if (!output) co_return std::move(output).error().with_context(doing);
  const auto code = co_await exit_code(*exec);
  if (!code) co_return Error(code.error()).with_context(doing);
  ExecResult result;
  result.exit_code = *code;
  result.output = std::move(output->out);
  result.errors = std::move(output->err);
  result.cut = output->cut;
  co_return result;
}

ports::Async<ports::ContainerControl::ExecResult> Engine::await_container(std::string id,
                                                                          ports::ContainerControl::ExecLimits limits) {
  const auto doing = format("waiting for container {}", id);
  const auto encoded = encode_name(id);
  if (!encoded) co_return Error(encoded.error()).with_context(doing);
  Call wait;
  wait.method = "POST";
  wait.target = format("/containers/{}/wait", *encoded);
  wait.limits.deadline = limits.deadline;
  const auto code = co_await transport_.ask(std::move(wait), &decode_wait);
  if (!code) co_return Error(code.error()).with_context(doing);
  Call logs;
  logs.target = format("/containers/{}/logs?stdout=1&stderr=1", *encoded);
  logs.limits.deadline = limits.deadline;
  logs.limits.max_body = kFramesOfOutput * limits.output;
  auto said = co_await transport_.call(std::move(logs));
  if (!said) co_return std::move(said).error().with_context(doing);
  auto output = co_await read_output(std::move(said->body), static_cast<std::size_t>(limits.output));
  if (!output) co_return std::move(output).error().with_context(doing);
  ports::ContainerControl::ExecResult result;
  result.exit_code = *code;
  result.output = std::move(output->out);
  result.errors = std::move(output->err);
  result.cut = output->cut;
  co_return result;
}

ports::Async<Output> Engine::read_output(std::string frames, std::size_t most) {
  if (frames.size() <= kInlineFrames) co_return decode_output(frames, most);
  auto text = std::make_shared<std::string>(std::move(frames));
  std::function<Result<Output>()> work = [text, most] {
    const auto taken = std::move(*text);  // freed here and not on the loop
    return decode_output(taken, most);
  };
  co_return co_await workers_.compute<Output>(std::move(work), kDecodeDeadline);
}

// The output may end a moment before the engine knows the exit code.
ports::Async<int> Engine::exit_code(std::string exec_id) {
  for (int tries = 0; tries < kExitCodeTries; ++tries) {
    Call inspect;
    inspect.target = format("/exec/{}/json", exec_id);
    auto state = co_await transport_.ask(std::move(inspect), &decode_exec);
    if (!state) co_return std::move(state).error();
    if (!state->running) co_return state->exit_code;
    co_await sleep_for(kExitCodePause);
  }
  co_return Error(Errc::kTimeout, "its output ended, but the engine says that it still runs");
}

}  // namespace buildwarden::engine
