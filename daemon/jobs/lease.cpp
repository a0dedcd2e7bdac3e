#include "daemon/jobs/lease.h"

#include <algorithm>

#include "common/format.h"

namespace buildwarden::jobs {

Result<void> take_pid(ports::Lease& lease, const ports::JobRequest& request, const ports::Peer& peer,
                      const Processes& processes) {
  if (request.pid == 0) return {};
  const auto facts = processes.look(request.pid);
  if (!facts) return Error(Errc::kInvalid, "pid: " + facts.error().message());
  if (peer.uid != 0 && facts->uid != peer.uid) {
    return Error(Errc::kDenied, format("pid: process {} is of user {}, not {}", request.pid, facts->uid, peer.uid));
  }
  lease.pid = request.pid;
  lease.pid_started = facts->started;
  return {};
}

std::vector<std::string> held_builders(const ports::JobRequest& request) {
  std::vector<std::string> builders;
  for (const auto& name : request.builders) {
    if (std::find(builders.begin(), builders.end(), name) == builders.end()) builders.push_back(name);
  }
  const bool all = builders.empty();
  const bool named = std::find(builders.begin(), builders.end(), request.use) != builders.end();
  if (!all && !request.use.empty() && !named) builders.push_back(request.use);
  return builders;
}

std::vector<std::string> differing_fields(const ports::JobRequest& request, const ports::Lease& lease) {
  std::vector<std::string> fields;
  const auto compare = [&fields](const char* field, const std::string& asked, const std::string& known) {
    if (!asked.empty() && asked != known) fields.emplace_back(field);
  };
  compare("agent", request.agent, lease.agent);
  compare("pipeline", request.pipeline, lease.pipeline);
  compare("checkout_path", request.checkout_path, lease.checkout_path);
  if (request.need_bytes != 0 && request.need_bytes != lease.need_bytes) fields.emplace_back("need_bytes");
  return fields;
}

Result<ports::Lease> lease_of(const ports::JobRequest& request, const ports::Peer& peer, const Processes& processes) {
  ports::Lease lease;
  lease.id = request.id;
  lease.agent = request.agent;
  lease.pipeline = request.pipeline;
  lease.checkout_path = request.checkout_path;
  lease.uid = peer.uid;
  lease.builders = held_builders(request);
  lease.need_bytes = request.need_bytes;
  lease.ttl = request.ttl.value_or(Duration{0});
  auto taken = take_pid(lease, request, peer, processes);
  if (!taken) return std::move(taken).error();
  return lease;
}

ports::GrantRequest grant_of(const ports::JobRequest& request, const JobSettings& settings) {
  ports::GrantRequest wanted;
  wanted.job = request.id;
  wanted.builders = request.builders;
  wanted.use = request.use;
  wanted.pipeline = request.pipeline;
  wanted.checkout_path = request.checkout_path;
  wanted.cache_name = request.cache_name;
  wanted.reuse_context = request.reuse_context.value_or(settings.reuse_context);
  wanted.load = request.load.value_or(settings.default_load);
  return wanted;
}

}  // namespace buildwarden::jobs
