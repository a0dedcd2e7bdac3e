// Any bytes as requests through the real server, its sessions and all routes, over rooms that answer at once. What
// comes back is HTTP or nothing, and afterwards a good request is answered.
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "tests/fuzz/fuzz.h"
#include "tests/unit/api/api_fixture.h"

namespace buildwarden::fuzz {
namespace {

// The fixture of the API's tests, outside of a test.
class Host : public api::ApiTest {
 public:
  Host() {
    SetUp();
    ports::JobAnswer answer;
    answer.id = "job";
    answer.admitted = true;
    answer.grant.env = {{"A", "it's"}};
    answer.grant.files = {{"instances/x", 0600, "{}"}};
    desk.answer = answer;
    start();
    expect(port != 0);
  }
  ~Host() override { TearDown(); }
  void TestBody() override {}
  [[nodiscard]] std::string address() const { return socket(); }
};

constexpr int kStreamSilence = 20;
constexpr int kPatience = 20'000;

// libFuzzer's alarm comes every few seconds, and interrupts what waits: that is no silence.
template <class Call>
auto persist(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

class Client {
 public:
  explicit Client(const std::string& path) : socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    const auto connected =
        persist([&] { return ::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address); });
    expect(connected == 0, std::strerror(errno));
  }
  ~Client() { ::close(socket_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void send(std::string_view bytes) const {
    (void)persist([&] { return ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL); });
    ::shutdown(socket_, SHUT_WR);
  }
  // Until the other end closes, or is silent as an endless stream is.
  [[nodiscard]] std::string read(int silence_ms) const {
    std::string all;
    char room[4096];
    pollfd ready{socket_, POLLIN, 0};
    while (persist([&] { return ::poll(&ready, 1, silence_ms); }) == 1) {
      const auto count = persist([&] { return ::recv(socket_, room, sizeof room, 0); });
      if (count < 0) return all + std::strerror(errno);
      if (count == 0) return all;
      all.append(room, static_cast<std::size_t>(count));
    }
    if (silence_ms == kPatience) all += "and then silence";
    return all;
  }

 private:
  int socket_;
};

}  // namespace
}  // namespace buildwarden::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace fuzz = buildwarden::fuzz;
  static const fuzz::Host host;
  const auto text = fuzz::as_text(data, size);
  {
    const fuzz::Client client(host.address());
    client.send(text);
    const auto answer = client.read(fuzz::kStreamSilence);
    fuzz::expect(answer.empty() || answer.starts_with("HTTP/1."), answer);
  }
  const fuzz::Client client(host.address());
  client.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const auto answer = client.read(fuzz::kPatience);
  fuzz::expect(answer.starts_with("HTTP/1.1 200 "), answer);
  return 0;
}
