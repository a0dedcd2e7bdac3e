#include <boost/json/parse.hpp>
#include <functional>
#include <limits>
#include <utility>

#include "common/format.h"
#include "daemon/api/job_script.h"
#include "daemon/api/json_parts.h"
#include "daemon/api/json_views.h"
#include "daemon/api/problem.h"
#include "daemon/api/routes.h"

namespace buildwarden::api {
namespace json = boost::json;
namespace asio = boost::asio;

namespace {

constexpr std::int64_t kLargestPid = 4'194'304;  // of the kernel
constexpr std::int64_t kLongestTtl =
    30LL * 24 * 60 * 60;  // seconds; the most that jobs.ttl may be, which the admission controller knows

// A lease ends at the latest with its job, so a place comes free when one does: nobody knows when.
constexpr std::string_view kRetryForPlace = "30";  // seconds

// A script has no way to ask again, so it is waited for; admission itself is bounded by jobs.admission_wait.
constexpr Duration kScriptPatience = std::chrono::hours{1};

std::optional<Response> read_job(const std::string& body, ports::JobRequest& into) {
  const auto object = parse_object(body);
  if (!object) return problem(object.error(), "bad_json");
  FieldReader fields(*object);
  std::int64_t pid = 0;
  std::int64_t ttl = 0;
  fields.read("id", into.id, 128);
  fields.read("agent", into.agent);
  fields.read("pipeline", into.pipeline);
  fields.read("checkout_path", into.checkout_path);
  fields.read("pid", pid, 1, kLargestPid);
  fields.read("need_bytes", into.need_bytes, 0, std::numeric_limits<std::int64_t>::max());
  fields.read("builders", into.builders);
  fields.read("use", into.use);
  fields.read("platforms", into.platforms);
  fields.read("cache_name", into.cache_name);
  fields.read("reuse_context", into.reuse_context);
  fields.read("load", into.load);
  fields.read("ttl_seconds", ttl, 1, kLongestTtl);
  auto mistakes = fields.finish();
  if (mistakes.empty() && into.id.empty()) mistakes.push_back({"id", "is missing: 1 to 128 bytes"});
  if (!mistakes.empty()) return bad_fields(mistakes);
  into.pid = static_cast<pid_t>(pid);
  if (ttl > 0) into.ttl = std::chrono::seconds{ttl};
  return std::nullopt;
}

Response refusal(const ports::JobAnswer& answer, bool pause_agent) {
  json::object more = job_answer_json(answer);
  for (const auto* granted : {"env", "files", "expires_at", "note"}) more.erase(granted);
  more["users"] = users_json(answer.users);
  more["pause_agent"] = pause_agent;
  more["images_failed"] = text_or_null(answer.images_failed);
  return problem(507, "no_space", answer.reason, std::move(more));
}

Response differs(const ports::JobAnswer& answer) {
  json::object more;
  more["fields"] = json::array(answer.differs.begin(), answer.differs.end());
  return problem(409, "job_differs", answer.reason, std::move(more));
}

Response script_response(std::string script, int status) {
  Response response;
  response.status = status;
  response.content_type = kShellScript;
  response.body = std::move(script);
  return response;
}

// The problem as a script: what a daemon cannot do must not fail a job; what the hook asked wrongly is no verdict on
// the disk, so it is 2 and not the 1 of a refusal.
Response as_script(const Response& problem) {
  const auto document = json::parse(problem.body);  // our own
  const auto& detail = document.at("detail").as_string();
  auto response =
      script_response(problem_script({detail.data(), detail.size()}, problem.status >= 500 ? 0 : 2), problem.status);
  response.headers = problem.headers;
  return response;
}

struct Admission {
  ports::JobAdmissions* admissions;
  ports::JobRequest job;
  ports::Peer peer;
  bool script;
  std::function<bool()> pause_agent;  // asked when the answer is known
};

Response admission_response(const Result<ports::JobAnswer>& answer, const Admission& admission) {
  if (!answer && answer.error().code() == Errc::kUnavailable) {
    auto response = problem(answer.error(), "too_many_jobs");
    response.headers.emplace_back("Retry-After", kRetryForPlace);
    return response;
  }
  if (!answer) return problem(answer.error());
  if (!answer->differs.empty()) return differs(*answer);
  const int good = answer->known_before ? 200 : 201;
  const int status = answer->admitted ? good : 507;
  auto response =
      admission.script ? script_response(job_script(*answer), status) : json_response(job_answer_json(*answer), status);
  if (status == 201) response.headers.emplace_back("Location", "/v1/jobs/" + path_segment(answer->id));
  if (answer->admitted || admission.script) return response;
  // One job that asks for too much is no reason to keep all others from this agent.
  return refusal(*answer, answer->hits_all && admission.pause_agent());
}

asio::awaitable<Response> admit(Admission admission, ports::Progress progress) {
  const auto answer = co_await admission.admissions->start_job(admission.job, admission.peer, std::move(progress));
  co_return admission_response(answer, admission);
}

asio::awaitable<Response> start_job(const ApiContext& context, Operations& operations, Request request) {
  const bool script = request.accepts(kShellScript);
  Admission admission{context.admissions, {}, request.peer, script, context.pause_agent};
  auto refused = read_job(request.body, admission.job);
  if (refused && script) co_return as_script(*refused);
  if (refused) co_return *std::move(refused);
  Operations::Work work = [admission](ports::Progress progress) { return admit(admission, std::move(progress)); };
  auto operation = operations.start("job", request.peer.uid, std::move(work));
  auto response = co_await operations.answer(std::move(operation), script ? kScriptPatience : context.answer_within);
  if (script && response.content_type == "application/problem+json") co_return as_script(response);
  co_return response;
}

asio::awaitable<Response> renew_job(const ApiContext& context, Request request) {
  const auto object = parse_object(request.body);
  if (!object) co_return problem(object.error(), "bad_json");
  const auto mistakes = FieldReader(*object).finish();  // a renewal has no fields
  if (!mistakes.empty()) co_return bad_fields(mistakes);
  const auto answer = co_await context.admissions->renew_job(request.captured, request.peer);
  if (answer) co_return json_response(job_answer_json(*answer));
  co_return problem(answer.error(), answer.error().code() == Errc::kNotFound ? "job_unknown" : "");
}

asio::awaitable<Response> end_job(const ApiContext& context, Request request) {
  const auto ended = co_await context.admissions->end_job(request.captured, request.peer);
  if (!ended) co_return problem(ended.error(), ended.error().code() == Errc::kNotFound ? "job_unknown" : "");
  Response response;
  response.status = 204;
  co_return response;
}

Response job(const ApiContext& context, const std::string& id) {
  const auto view = context.jobs->jobs_view();
  ports::JobsView one;
  for (const auto& lease : view.leases) {
    if (lease.id == id) one.leases.push_back(lease);
  }
  if (one.leases.empty()) return problem(404, "job_unknown", format("no job \"{}\" is known", id));
  return json_response(jobs_json(one, context.clock->now()).front());
}

Response jobs(const ApiContext& context) {
  json::object object;
  object["jobs"] = jobs_json(context.jobs->jobs_view(), context.clock->now());
  return json_response(object);
}

}  // namespace

void add_job_routes(Router& router, const ApiContext& context, Operations& operations) {
  router.add_direct("GET", "/v1/jobs", [&context](const Request&) { return jobs(context); });
  router.add_direct("GET", "/v1/jobs/{id}",
                    [&context](const Request& request) { return job(context, request.captured); });
  router.add("POST", "/v1/jobs",
             [&context, &operations](Request request) { return start_job(context, operations, std::move(request)); });
  router.add("PUT", "/v1/jobs/{id}", [&context](Request request) { return renew_job(context, std::move(request)); });
  router.add("DELETE", "/v1/jobs/{id}", [&context](Request request) { return end_job(context, std::move(request)); });
}

}  // namespace buildwarden::api
