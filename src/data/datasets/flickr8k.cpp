// Flickr8k as published and as its usual copies have it; see data/flickr.h.
#include "data/flickr.h"

namespace capstan {

SourceEntry flickr8k_source() {
  return make_source_entry<Flickr, FlickrConfig>(
      "flickr8k", "Flickr8k: Flickr8k.token.txt or the CSV captions.txt, with its lists of pictures for each split.");
}

}  // namespace capstan
