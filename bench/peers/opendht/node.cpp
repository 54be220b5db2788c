// A node of OpenDHT that does what its standard input says, one line after the other.
//
//   join PORT ..    `joined` once it is connected and knows as many nodes
//   put N           `done MICROSECONDS` once record N is announced, or `failed`
//   get N           `done MICROSECONDS` once record N is at hand and is the right one, or `failed`
//   holds N         `yes` or `no`: whether this node keeps record N
//
// The first line that it prints is `ready PORT`.

#include <chrono>
#include <future>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <opendht.h>

using Clock = std::chrono::steady_clock;

static const size_t SIZE = 900;

static dht::InfoHash key(uint64_t number)
{
    return dht::InfoHash::get("overlay-live record " + std::to_string(number));
}

// The record with this number: bytes that can't be taken for another's.
static dht::Blob body(uint64_t number)
{
    dht::Blob bytes(SIZE);
    for (size_t at = 0; at < SIZE; at++)
        bytes[at] = uint8_t(number >> (56 - 8 * (at % 8)));
    return bytes;
}

static std::string done(Clock::time_point begin)
{
    auto took = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin);
    return "done " + std::to_string(took.count());
}

static std::string join(dht::DhtRunner& node, std::istringstream& words)
{
    std::vector<std::string> ports;
    for (std::string port; words >> port;)
        ports.push_back(port);
    // A routing table keeps eight nodes a bucket, so it never has all of them, and how many it has is chance. On a
    // machine that has much to do the first try does not reach everybody.
    for (unsigned round = 0;; round++) {
        if (round % 100 == 0)
            for (const auto& port : ports)
                node.bootstrap("127.0.0.1", port);
        unsigned good = 0;
        node.getNodesStats(AF_INET, &good, nullptr, nullptr, nullptr);
        if (good >= std::min<size_t>(ports.size(), 10))
            return "joined";
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
}

static std::string put(dht::DhtRunner& node, uint64_t number)
{
    auto value = std::make_shared<dht::Value>(body(number));
    auto stored = std::make_shared<std::promise<std::string>>();
    auto begin = Clock::now();
    node.put(key(number), value, [stored, begin](bool good) {
        stored->set_value(good ? done(begin) : "failed");
    });
    return stored->get_future().get();
}

static std::string get(dht::DhtRunner& node, uint64_t number)
{
    auto answer = std::make_shared<std::promise<std::string>>();
    auto answered = std::make_shared<bool>(false);
    auto begin = Clock::now();
    auto tell = [answer, answered](std::string what) {
        if (!*answered)
            answer->set_value(what);
        *answered = true;
    };
    auto found = [tell, begin, number](const std::vector<std::shared_ptr<dht::Value>>& values) {
        for (const auto& value : values)
            tell(value->data == body(number) ? done(begin) : "failed");
        // The first is enough: it shall not go on to look for more.
        return false;
    };
    node.get(key(number), found, [tell](bool) { tell("failed"); });
    return answer->get_future().get();
}

static std::string holds(dht::DhtRunner& node, uint64_t number)
{
    auto log = node.getStorageLog(key(number));
    return log.find("empty") == std::string::npos ? "yes" : "no";
}

int main()
{
    dht::DhtRunner node;
    dht::DhtRunner::Config config;
    config.dht_config.node_config.network = 0;
    // No limit on requests: it would be the first thing that is measured.
    config.dht_config.node_config.max_req_per_sec = -1;
    config.dht_config.node_config.max_peer_req_per_sec = -1;
    config.threaded = true;
    node.run(0, config);
    std::cout << "ready " << node.getBoundPort() << std::endl;

    for (std::string line; std::getline(std::cin, line);) {
        std::istringstream words(line);
        std::string command;
        uint64_t number = 0;
        words >> command;
        if (command == "join") {
            std::cout << join(node, words) << std::endl;
            continue;
        }
        words >> number;
        if (command == "put")
            std::cout << put(node, number) << std::endl;
        else if (command == "get")
            std::cout << get(node, number) << std::endl;
        else if (command == "holds")
            std::cout << holds(node, number) << std::endl;
        else
            std::cout << "failed unknown command" << std::endl;
    }
    node.join();
}
