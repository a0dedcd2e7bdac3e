#include "daemon/policy/checkouts.h"

#include <algorithm>

#include "common/format.h"

namespace buildwarden::policy {
namespace {

std::string_view without_slash(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  return path;
}

// One lies in the other, or they are the same.
bool overlap(std::string_view one, std::string_view other) {
  one = without_slash(one);
  other = without_slash(other);
  if (one.size() > other.size()) std::swap(one, other);
  if (!other.starts_with(one)) return false;
  return one.size() == other.size() || one == "/" || other[one.size()] == '/';
}

bool is_agent_of(std::string_view name, const Checkout& checkout) {
  return name == checkout.agent || agent_folder(name) == checkout.agent;
}

// Why the job has it; "" when it has not.
std::string use_by(const JobOnHost& job, const Checkout& checkout) {
  if (!job.checkout.empty()) {
    return overlap(job.checkout, checkout.path) ? format("{}, whose checkout it is", job.known_by) : "";
  }
  if (job.agent.empty()) return format("{}, whose agent is not known", job.known_by);
  return is_agent_of(job.agent, checkout) ? format("{}, a job of that agent", job.known_by) : "";
}

bool is_to_come(const JobOnHost& job, const std::vector<JobToCome>& to_come) {
  return !job.job.empty() &&
         std::any_of(to_come.begin(), to_come.end(), [&job](const JobToCome& one) { return one.job == job.job; });
}

// The agent of a job that did not say it, by the processes that carry its id.
std::string agent_of(const JobToCome& job, const std::vector<JobOnHost>& running) {
  if (!job.agent.empty()) return job.agent;
  for (const auto& one : running) {
    if (one.job == job.job && !one.agent.empty()) return one.agent;
  }
  return "";
}

bool goes_on_with(const JobToCome& job, const Checkout& checkout) {
  if (!job.checkout.empty()) return overlap(job.checkout, checkout.path);
  return !job.pipeline.empty() &&
         (job.pipeline == checkout.pipeline || job.pipeline == checkout.org + "/" + checkout.pipeline);
}

}  // namespace

std::string agent_folder(std::string_view agent) {
  std::string folder;
  for (const char at : agent) {
    const auto byte = static_cast<unsigned char>(at);
    const bool plain = (at >= '0' && at <= '9') || (at >= 'a' && at <= 'z') || (at >= 'A' && at <= 'Z');
    const bool continues = (byte & 0xC0U) == 0x80U;  // the second byte and later ones of a character in UTF-8
    if (plain) folder += at;
    if (!plain && !continues) folder += '-';
  }
  return folder;
}

bool is_checkout_part(std::string_view name) { return !name.empty() && name.front() != '.'; }

CheckoutUse judge_checkout(const Checkout& checkout, const std::vector<JobOnHost>& running,
                           const std::vector<JobToCome>& to_come, const std::string& open_by) {
  CheckoutUse use;
  use.in_use_by = open_by;
  for (const auto& job : running) {
    if (!use.in_use_by.empty()) break;
    // It asks late, from within its work: somebody made it start without asking.
    const bool has_begun = job.since && checkout.used_at >= *job.since;
    if (has_begun || !is_to_come(job, to_come)) use.in_use_by = use_by(job, checkout);
  }
  for (const auto& job : to_come) {
    if (!is_agent_of(agent_of(job, running), checkout)) continue;
    use.given_up = use.given_up || job.asks;
    use.last = use.last || goes_on_with(job, checkout);
  }
  return use;
}

bool goes_at_end(const Checkout& checkout, const std::vector<JobOnHost>& running, const std::string& job) {
  bool is_of_agent = false;
  std::vector<JobOnHost> others;
  for (const auto& one : running) {
    if (one.job != job) others.push_back(one);
    is_of_agent = is_of_agent || (one.job == job && !one.agent.empty() && is_agent_of(one.agent, checkout));
  }
  return is_of_agent && judge_checkout(checkout, others, {}, "").in_use_by.empty();
}

bool is_enough(const Goal& goal, Reading reading, const HeldAtEnd& held) {
  reading.free += held.bytes;
  reading.free_inodes += held.inodes;
  return !held.is_known || reached(goal, reading);
}

}  // namespace buildwarden::policy
