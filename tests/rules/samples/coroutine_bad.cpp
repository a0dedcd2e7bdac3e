// Each marked line is miscompiled by GCC 12 (tests/rules/coroutines must find all of them). Never built.
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/this_coro.hpp>
#include <functional>
#include <string>
#include <vector>

namespace buildwarden::samples {
namespace asio = boost::asio;

struct Aggregate {
  std::string name;
  std::vector<std::string> more;
};

asio::awaitable<std::string> take(Aggregate value);
asio::awaitable<std::string> evict_all(std::vector<std::string> values);
asio::awaitable<void> call(std::function<void()> work);

asio::awaitable<void> bad(std::string text) {
  co_await take({text, {}});                                                            // BAD
  co_await take(Aggregate{text, {}});                                                   // BAD
  co_await call([text] { (void)text.size(); });                                         // BAD
  const Aggregate named{.name = text, .more = {co_await evict_all({})}};                // BAD
  auto work = co_await [text]() -> asio::awaitable<std::string> { co_return text; }();  // BAD
  asio::co_spawn(
      co_await asio::this_coro::executor, [text]() -> asio::awaitable<void> { co_return; }, asio::detached);  // BAD
  const std::string chosen = text.empty() ? co_await take(named) : co_await evict_all({});                    // BAD
  std::vector<std::string> list = {text, co_await take(named)};                                               // BAD
}

}  // namespace buildwarden::samples
