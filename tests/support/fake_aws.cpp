#include "tests/support/fake_aws.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <stdexcept>

namespace buildwarden::testing {
namespace {

constexpr const char* kInstance = "i-0123456789abcdef0";
constexpr const char* kToken = "AQAEAtoken==";
constexpr const char* kName = R"(xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/")";

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char one) { return std::tolower(one); });
  return text;
}

std::string response(int status, const std::string& type, const std::string& body) {
  return "HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Type: " + type +
         "\r\nContent-Length: " + std::to_string(body.size()) + "\r\nConnection: close\r\n\r\n" + body;
}

bool read_more(int peer, std::string& into) {
  char buffer[4096];
  const auto count = ::recv(peer, buffer, sizeof buffer, 0);
  if (count > 0) into.append(buffer, static_cast<std::size_t>(count));
  return count > 0;
}

void read_headers(const std::string& head, WireRequest& request) {
  auto at = head.find("\r\n");
  while (at != std::string::npos && at + 2 < head.size()) {
    const auto end = head.find("\r\n", at + 2);
    const auto line = head.substr(at + 2, end - at - 2);
    const auto colon = line.find(':');
    if (colon != std::string::npos) {
      const auto value = line.find_first_not_of(' ', colon + 1);
      request.headers[lower(line.substr(0, colon))] = value == std::string::npos ? "" : line.substr(value);
    }
    at = end;
  }
}

bool read_request(int peer, WireRequest& request) {
  std::string text;
  while (text.find("\r\n\r\n") == std::string::npos) {
    if (!read_more(peer, text)) return false;
  }
  const auto end = text.find("\r\n\r\n");
  const auto head = text.substr(0, end);
  request.body = text.substr(end + 4);
  const auto first = head.find(' ');
  const auto second = head.find(' ', first + 1);
  request.method = head.substr(0, first);
  request.target = head.substr(first + 1, second - first - 1);
  read_headers(head, request);
  const auto length = request.headers.find("content-length");
  const auto wanted = length == request.headers.end() ? std::size_t{0} : std::stoul(length->second);
  while (request.body.size() < wanted) {
    if (!read_more(peer, request.body)) return false;
  }
  return true;
}

std::string decoded(const std::string& text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      plain += static_cast<char>(std::stoi(text.substr(i + 1, 2), nullptr, 16));
      i += 2;
    } else {
      plain += text[i] == '+' ? ' ' : text[i];
    }
  }
  return plain;
}

std::string error(int status, const std::string& code, const std::string& message) {
  return response(status, "text/xml",
                  std::string("<ErrorResponse ") + kName + "><Error><Type>Sender</Type><Code>" + code +
                      "</Code><Message>" + message +
                      "</Message></Error><RequestId>7c6e177f-f082-11e1-ac58-3714bEXAMPLE</RequestId></ErrorResponse>");
}

std::string success(const std::string& action, const std::string& result) {
  return response(200, "text/xml",
                  "<" + action + "Response " + kName + ">" + result +
                      "<ResponseMetadata><RequestId>7c6e177f-f082-11e1-ac58-3714bEXAMPLE</RequestId>"
                      "</ResponseMetadata></" +
                      action + "Response>");
}

std::string failure(const std::string& code) {
  if (code == "Throttling") return error(400, code, "Rate exceeded");
  if (code == "ExpiredToken") return error(403, code, "The security token included in the request is expired");
  if (code == "AccessDenied") return error(403, code, "User is not authorized to perform this action");
  return error(500, code, "We encountered an internal error. Please try again.");
}

}  // namespace

WireServer::WireServer(Handler handler) : handler_(std::move(handler)), reserve_(bound_socket()) { start(); }

WireServer::~WireServer() {
  stop();
  ::close(reserve_);
}

// To the port that the first of them was given.
int WireServer::bound_socket() {
  const int made = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int yes = 1;
  ::setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port_);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(made, reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
      ::getsockname(made, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::runtime_error("the stand-in gets no port");
  }
  port_ = ntohs(address.sin_port);
  return made;
}

void WireServer::start() {
  listener_ = bound_socket();
  if (::listen(listener_, 8) != 0) throw std::runtime_error("the stand-in cannot listen");
  thread_ = std::thread([this] { serve(); });
}

void WireServer::stop() {
  if (listener_ < 0) return;
  ::shutdown(listener_, SHUT_RDWR);  // ends accept()
  thread_.join();
  ::close(listener_);
  listener_ = -1;
}

void WireServer::serve() {
  for (;;) {
    const int peer = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (peer < 0) return;
    WireRequest request;
    if (read_request(peer, request)) {
      const auto answer = handler_(request);
      (void)::send(peer, answer.data(), answer.size(), MSG_NOSIGNAL);
    }
    ::close(peer);
  }
}

FakeMetadata::FakeMetadata() : server_([this](const WireRequest& request) { return answer(request); }) {}

std::string FakeMetadata::answer(const WireRequest& request) {
  ++requests_;
  if (request.target == "/latest/api/token") {
    const auto ttl = request.headers.find("x-aws-ec2-metadata-token-ttl-seconds");
    if (request.method != "PUT") return response(405, "text/plain", "");
    if (request.headers.contains("x-forwarded-for")) return response(403, "text/plain", "");
    const bool good =
        ttl != request.headers.end() && std::atoi(ttl->second.c_str()) >= 1 && std::atoi(ttl->second.c_str()) <= 21'600;
    return good ? response(200, "text/plain", kToken) : response(400, "text/plain", "");
  }
  const auto token = request.headers.find("x-aws-ec2-metadata-token");
  if (token == request.headers.end() || token->second != kToken) return response(401, "text/plain", "");
  static const std::map<std::string, std::string> values = {
      {"/latest/meta-data/instance-id", kInstance},
      {"/latest/meta-data/placement/region", "eu-west-1"},
      {"/latest/meta-data/iam/security-credentials/", "agents"},
      {"/latest/meta-data/iam/security-credentials/agents",
       R"({"Code":"Success","LastUpdated":"2026-01-01T00:00:00Z","Type":"AWS-HMAC","AccessKeyId":"ASIAEXAMPLE",)"
       R"("SecretAccessKey":"secret","Token":"token","Expiration":"2099-01-01T00:00:00Z"})"},
  };
  const auto value = values.find(request.target);
  return value == values.end() ? response(404, "text/plain", "") : response(200, "text/plain", value->second);
}

FakeGroup::FakeGroup() : server_([this](const WireRequest& request) { return answer(request); }) {}

std::string FakeGroup::answer(const WireRequest& request) {
  Form form;
  std::string rest = request.body;
  while (!rest.empty()) {
    const auto pair = rest.substr(0, rest.find('&'));
    rest.erase(0, std::min(pair.size() + 1, rest.size()));
    form[decoded(pair.substr(0, pair.find('=')))] = decoded(pair.substr(std::min(pair.find('=') + 1, pair.size())));
  }
  const auto signature = request.headers.find("authorization");
  if (signature == request.headers.end() ||
      !signature->second.starts_with("AWS4-HMAC-SHA256 Credential=ASIAEXAMPLE/")) {
    return error(403, "MissingAuthenticationToken", "Request is missing Authentication Token");
  }
  std::unique_lock lock(mutex_);
  ++asked_[form["Action"]];
  if (form["Action"] == "DescribeAutoScalingInstances") return describe();
  auto answer = change(form);
  answers_.wait(lock, [this] { return !held_; });
  return answer;
}

std::string FakeGroup::describe() const {
  return success(
      "DescribeAutoScalingInstances",
      std::string("<DescribeAutoScalingInstancesResult><AutoScalingInstances><member><InstanceId>") + kInstance +
          "</InstanceId><AutoScalingGroupName>agents</AutoScalingGroupName>" +
          "<AvailabilityZone>eu-west-1a</AvailabilityZone><LifecycleState>" + lifecycle_ +
          "</LifecycleState><HealthStatus>" + health_ +
          "</HealthStatus><ProtectedFromScaleIn>true</ProtectedFromScaleIn></member></AutoScalingInstances>" +
          "</DescribeAutoScalingInstancesResult>");
}

std::string FakeGroup::change(const Form& form) {
  if (!failures_.empty()) {
    const auto code = failures_.front();
    failures_.pop_front();
    return failure(code);
  }
  const auto instance = form.find("InstanceId");
  if (instance == form.end() || instance->second != kInstance) {
    return error(400, "ValidationError", "Instance Id not found - No managed instance found for instance ID");
  }
  const auto action = form.find("Action")->second;
  if (action == "TerminateInstanceInAutoScalingGroup") return terminate(form);
  if (action != "SetInstanceHealth") return error(400, "InvalidAction", "no such action");
  ++accepted_;
  health_ = "UNHEALTHY";
  return success(action, "");
}

std::string FakeGroup::terminate(const Form& form) {
  const auto wish = form.find("ShouldDecrementDesiredCapacity");
  if (wish == form.end()) {
    return error(400, "ValidationError",
                 "1 validation error detected: Value null at 'shouldDecrementDesiredCapacity' failed to satisfy "
                 "constraint: Member must not be null");
  }
  const bool decrement = wish->second == "true";
  if (decrement && desired_ - 1 < minimum_) {
    return error(400, "ValidationError",
                 "Currently, desiredSize equals minSize (" + std::to_string(minimum_) +
                     "). Terminating instance without replacement will violate group's min size constraint. Either set "
                     "shouldDecrementDesiredCapacity flag to false or lower group's min size.");
  }
  ++accepted_;
  if (decrement) ++decrements_;
  if (decrement) --desired_;
  lifecycle_ = "Terminating";
  return success(
      "TerminateInstanceInAutoScalingGroup",
      std::string("<TerminateInstanceInAutoScalingGroupResult><Activity><ActivityId>a</ActivityId>") +
          "<AutoScalingGroupName>agents</AutoScalingGroupName><Description>Terminating EC2 instance: " + kInstance +
          "</Description><Cause>a user request</Cause><StartTime>2026-01-01T00:00:00Z</StartTime>" +
          "<StatusCode>InProgress</StatusCode><Progress>0</Progress></Activity>" +
          "</TerminateInstanceInAutoScalingGroupResult>");
}

void FakeGroup::fail_next(int times, const std::string& code) {
  const std::lock_guard lock(mutex_);
  failures_.insert(failures_.end(), static_cast<std::size_t>(times), code);
}

void FakeGroup::hold_answers(bool hold) {
  const std::lock_guard lock(mutex_);
  held_ = hold;
  answers_.notify_all();
}

void FakeGroup::forgive() {
  const std::lock_guard lock(mutex_);
  failures_.clear();
}

void FakeGroup::set_sizes(int minimum, int desired) {
  const std::lock_guard lock(mutex_);
  minimum_ = minimum;
  desired_ = desired;
}

int FakeGroup::count(const std::string& action) const {
  const std::lock_guard lock(mutex_);
  const auto found = asked_.find(action);
  return found == asked_.end() ? 0 : found->second;
}

int FakeGroup::accepted() const {
  const std::lock_guard lock(mutex_);
  return accepted_;
}

int FakeGroup::decrements() const {
  const std::lock_guard lock(mutex_);
  return decrements_;
}

std::string FakeGroup::lifecycle() const {
  const std::lock_guard lock(mutex_);
  return lifecycle_;
}

std::string FakeGroup::health() const {
  const std::lock_guard lock(mutex_);
  return health_;
}

}  // namespace buildwarden::testing
