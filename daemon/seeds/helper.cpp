#include "daemon/seeds/helper.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "common/format.h"
#include "common/own_unit.h"
#include "daemon/seeds/program.h"

namespace buildwarden::seeds {
namespace {

constexpr Duration kHandover = std::chrono::seconds{5};  // between the end of a program and of the wait for it
constexpr Bytes kMostOutput = 4 * kMiB;                  // four lines a second, for hours

// The program ends by itself a little before it is killed, so that it says why and removes what it wrote.
Duration inner_patience(Duration outer) {
  constexpr Duration kLastWords = std::chrono::seconds{10};
  return std::max(outer - kLastWords, outer / 2);
}

bool has_network(const Order& order) {
  return order.place.is_s3() && order.task != Task::kClean && order.task != Task::kMeasure;
}

// Files of any owner with all of their attributes: trusted.* takes CAP_SYS_ADMIN, whiteouts CAP_MKNOD.
constexpr std::string_view kCapabilities =
    "CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_MKNOD CAP_SETFCAP CAP_SYS_ADMIN "
    "CAP_SYS_NICE";

}  // namespace

std::vector<std::string> unit_properties(const Order& order, Duration patience) {
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(patience).count() + 1;
  std::vector<std::string> properties = {
      "Description=buildwarden: a seed of a builder",
      format("RuntimeMaxSec={}", seconds),
      "KillMode=control-group",
      "SendSIGHUP=no",
      "TimeoutStopSec=1",
      "NoNewPrivileges=yes",
      std::string("CapabilityBoundingSet=").append(kCapabilities),
      "ProtectSystem=strict",
      "ProtectHome=read-only",
      "PrivateTmp=yes",
      "DevicePolicy=closed",
      "ProtectKernelTunables=yes",
      "ProtectKernelModules=yes",
      "ProtectKernelLogs=yes",
      "ProtectControlGroups=yes",
      "ProtectClock=yes",
      "ProtectHostname=yes",
      "RestrictNamespaces=yes",
      "RestrictRealtime=yes",
      "LockPersonality=yes",
      "TasksMax=128",
      "MemoryMax=2G",
  };
  properties.emplace_back(has_network(order) ? "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6"
                                             : "RestrictAddressFamilies=AF_UNIX");
  if (!has_network(order)) properties.emplace_back("PrivateNetwork=yes");
  const bool writes_volume = order.task == Task::kRestore || order.task == Task::kClean;
  if (writes_volume) properties.push_back("ReadWritePaths=-" + order.volume);
  if (writes_location(order.task) && !order.place.is_s3())
    properties.push_back("ReadWritePaths=-" + order.place.location);
  return properties;
}

ports::Async<Answer> carry_out(WorkerPool& workers, RunProgram run, SeedCall call) {
  const auto until = std::chrono::steady_clock::now() + call.patience;
  const auto longest = call.patience + kHandover;
  std::function<Result<Answer>()> work = [run = std::move(run), call = std::move(call), until]() -> Result<Answer> {
    // Less than `patience` where the worker was not free at once.
    const auto left = std::chrono::duration_cast<Duration>(until - std::chrono::steady_clock::now());
    if (left <= Duration{0}) return Error(Errc::kTimeout, "no worker was free in time");
    ProgramCall program;
    program.command = in_own_unit({own_program(), std::string(kSeedCommand)}, unit_properties(call.order, left));
    auto order = call.order;
    order.patience = inner_patience(left);
    program.input = encode_order(order);
    program.deadline = left;
    program.most = kMostOutput;
    program.heard = [progress = call.progress](std::string_view output) {
      const auto advance = last_advance(output);
      if (!advance) return;
      progress->of = advance->of;
      progress->done = advance->done;
    };
    auto end = run(std::move(program), call.stop);
    if (!end) return std::move(end).error();
    auto answer = decode_answer(end->output);
    if (answer || answer.error().code() != Errc::kProtocol || end->errors.empty()) return answer;
    return Error(Errc::kIo, end->errors.substr(0, end->errors.find('\n')));
  };
  co_return co_await workers.compute<Answer>(std::move(work), longest);
}

}  // namespace buildwarden::seeds
