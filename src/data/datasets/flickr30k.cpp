// Flickr30k as published and as its usual copies have it; see data/flickr.h.
#include "data/flickr.h"

namespace capstan {

SourceEntry flickr30k_source() {
  return make_source_entry<Flickr, FlickrConfig>(
      "flickr30k", "Flickr30k: results_20130124.token or results.csv with bars, and lists of pictures for each split.");
}

}  // namespace capstan
