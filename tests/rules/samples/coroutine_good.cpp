// The same work as the bad sample's, as it is to be written: tests/rules/coroutines must find nothing. Never built.
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
asio::awaitable<void> named_coroutine(std::string text);

asio::awaitable<void> good(std::string text) {
  Aggregate aggregate{text, {}};
  co_await take(aggregate);
  std::function<void()> work = [text] { (void)text.size(); };
  co_await call(work);
  co_await call([] {});
  const auto name = co_await take(std::move(aggregate));
  std::vector<std::string> list = {text, name};
  if (const auto all = co_await evict_all(std::move(list)); !all.empty()) list = {all};
  auto executor = co_await asio::this_coro::executor;
  asio::co_spawn(executor, named_coroutine(text + "!"), asio::detached);
  co_await evict_all(std::vector<std::string>(3, text));
  co_await take(text.empty() ? Aggregate(aggregate) : std::move(aggregate));
}

}  // namespace buildwarden::samples
